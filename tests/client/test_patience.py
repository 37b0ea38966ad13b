"""Ten seconds without progress: then a client gives up, unless it waits for its keyboard.

Their clock is faster (inject.c). What they say and do is what they would say and do after ten
seconds. Most of it is begun before the first test of the run (harness/early.py), so that no test
has to wait for it.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from typing import Any

import pytest

import inject
from harness import proc
from harness.chapters import Chapter
from harness.client import MIB, random_bytes
from harness.peer import CHUNK, ClientProgram, Conversation, Peer, Script, echo, hold
from harness.story import Story
from harness.visits import (CROWD, GUESTS, MODES, ROUNDS, full_backlog, modes_of, named,
                            never_closes, silent)

pytestmark = pytest.mark.of_clients
ours = pytest.mark.ours_only("the patience of its client")

FAST = 5
TEN = 10 / FAST  # those ten seconds, to the test
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def clock(speed: int) -> dict[str, str]:
    return inject.environment(f"clock={speed} {inject.RULES}")


class Begun:
    """Peers and clients that are running when the test looks at them."""

    def __init__(self, chapter: Chapter) -> None:
        self.chapter, self._last = chapter, contextlib.ExitStack()
        with contextlib.ExitStack() as if_it_fails:
            if_it_fails.callback(self.stop)
            self.begin()
            if_it_fails.pop_all()

    def begin(self) -> None:
        raise NotImplementedError

    def peer(self, script: Script) -> Peer:
        """Each, with its clients, has a story of its own."""
        self.story = Story()
        return self._kept(Peer(self.story, script))

    def client(self, *arguments: str, peer: Peer, **options: Any) -> ClientProgram:
        return self._kept(ClientProgram(self.chapter, self.story, "--port", str(peer.port),
                                        *arguments, env=clock(FAST), **options))

    def _kept(self, made: Any) -> Any:
        self._last.callback(made.stop)
        return made

    def stop(self) -> None:
        self._last.close()


# ---- a server without progress -------------------------------------------------------------

def first_only(wrong: Script) -> Script:
    @named(f"{wrong.__doc__}, but on the first connection only: then it echoes")
    def script(conversation: Conversation) -> None:
        (wrong if conversation.number == 0 else echo)(conversation)

    return script


class WithoutProgress(Begun):
    def begin(self) -> None:
        self.clients = [(script, mode, mode.start(self.client, peer=self.peer(first_only(script))))
                        for script in (silent, hold, never_closes)
                        for mode in modes_of(self.chapter)]


@pytest.mark.early(begin=WithoutProgress)
def test_a_server_without_progress_is_given_up(chapter, early):
    for script, mode, client in early.clients:
        echoed = mode.length if script is never_closes else 0
        client.expect_failure(f"no progress for 10 seconds after {echoed} bytes of echo")
        client.story.check(client.lasted() > 0.97 * TEN, "ten seconds of patience",
                           f"it gave up after {client.lasted() * FAST:.1f}")
        if mode is CROWD:  # the others had their echo
            echoes = ROUNDS * (GUESTS - (script is not never_closes))
            client.expect_report(f"{GUESTS} guests, {echoes} echoes, 1 error")


@ours
def test_a_server_that_accepts_nobody_is_given_up(start_client):
    with full_backlog() as port:
        for client in [mode.start(start_client, "--port", port, env=clock(100)) for mode in MODES]:
            client.expect_failure(f"client: connect 127.0.0.1:{port}: Connection timed out")


@ours
def test_patience_ends_even_while_somebody_types(start_client, start_peer, terminal, story):
    """Typing is no progress: only what comes back is."""
    keyboard = terminal()
    client = start_client("-", peer=start_peer(silent), stdin=keyboard.inside, env=clock(100))
    with story.summed_up("typed a line every second of the fast clock, at a terminal"):
        typing = time.monotonic()
        while client.process.poll() is None and time.monotonic() - typing < proc.PATIENCE:
            keyboard.type(b"Hello?\n")
            time.sleep(1 / 100)  # a person at a keyboard
        story.check(client.process.poll() is not None, "the client to give up meanwhile",
                    "it goes on for as long as somebody types")
    client.expect_failure("client: no progress for 10 seconds after 0 bytes of echo")


# ---- what takes its time -------------------------------------------------------------------

def trickling(conversation: Conversation) -> None:
    """echoes two bytes every second of the fast clock"""
    for data in conversation.chunks():
        for at in range(0, len(data), 2):
            time.sleep(1 / FAST)  # to be slow is what it is for
            conversation.send(data[at : at + 2])


class Slow(Begun):
    def begin(self) -> None:
        peer, message = self.peer(trickling), "Twenty-four bytes of it."
        self.clients = [self.client(*arguments, peer=peer, stdin=message.encode())
                        for arguments in ([message], ["-"], ["--guests", "2", message[18:]])]
        self.idle = self.client("-", peer=self.peer(echo), **PIPES)
        self.idle.type(b"I shall be back\n")
        self.idle.expect_echo(b"I shall be back\n")
        self.data = random_bytes(11, 100_000 if inject.RULES else 2 * MIB)
        self.paused = self.client("-", peer=self.peer(echo), stdin=self.data,
                                  stdout=subprocess.PIPE)


@pytest.mark.fault(62)
@ours
@pytest.mark.early(begin=Slow)
def test_a_slow_server_and_a_keyboard_and_reader_that_pause_are_not_given_up(chapter, early):
    """Longer than ten seconds in all, but never without progress for so long: that is the
    server. And `./client - <big.bin | less`: nothing moves, but the server is not to blame."""
    for client in early.clients:
        client.expect_success()
        client.story.check(client.lasted() > TEN, "more than ten seconds", "it was faster")
    early.idle.story.tell("left it alone for more than ten seconds of its clock")
    early.idle.type(b"Here I am\n")
    early.idle.expect_echo(b"Here I am\n")
    early.idle.end_input()
    early.idle.expect_success()
    copy = early.paused.hear(len(early.data) + 1)
    early.paused.expect_success()
    early.paused.story.check(copy == early.data, "the same bytes on stdout as on stdin",
                             f"there are {len(copy)}")


class Stopped(Begun):
    def begin(self) -> None:
        received, go_on = threading.Semaphore(0), threading.Event()

        def held(conversation: Conversation) -> None:
            """receives a message, and echoes it when all clients are stopped"""
            data = conversation.socket.recv(CHUNK)
            received.release()
            go_on.wait(proc.PATIENCE)
            conversation.send(data)
            echo(conversation)

        self.clients = []
        for arguments, connections in ((["Hello"], 1), (["-"], 1), (["--guests", "20"], 20)):
            client = self.client(*arguments, peer=self.peer(held), stdin=b"Hello")
            for _ in range(connections):
                heard = received.acquire(timeout=proc.PATIENCE)
                client.story.check(heard, f"{connections} messages at the peer", "some are missing")
            client.signal(signal.SIGSTOP)
            stopped = proc.eventually(lambda: proc.state(client.process.pid) == "T")
            client.story.check(stopped, "the client to stop", "it did not")
            self.clients.append(client)
        go_on.set()
        self.end = time.monotonic() + 1.1 * TEN


@pytest.mark.fault(59)
@ours
@pytest.mark.early(begin=Stopped)
def test_an_answer_that_came_while_it_was_stopped_is_in_time(chapter, early):
    """Ctrl-Z, and fg after a minute: the limit has run out, and the echo is there."""
    time.sleep(max(0, early.end - time.monotonic()))
    for client in early.clients:
        client.story.tell("its peer answered while it was stopped for more than ten seconds")
        client.signal(signal.SIGCONT)
    for client in early.clients:
        client.expect_success()
