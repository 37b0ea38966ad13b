"""Ten seconds without progress: then a client gives up, unless it waits for its keyboard.

Their clock runs twenty times as fast (inject.c), so that ten seconds take half a second. What
they say and do is what they would say and do after ten.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from typing import Callable

import pytest

import inject
from harness import proc
from harness.chapters import Chapter
from harness.client import MIB, random_bytes
from harness.peer import CHUNK, Conversation, Script, Terminal, echo, hold
from harness.story import Story
from harness.visits import (CROWD, GUESTS, MODES, ROUNDS, StartClient, StartPeer, full_backlog,
                            modes_of, named, never_closes, silent)

pytestmark = pytest.mark.of_clients
ours = pytest.mark.ours_only("the patience of its client")

FAST = 20
TEN = 10 / FAST  # those ten seconds, to the test


def fast(speed: int = FAST) -> dict[str, str]:
    return inject.environment(f"clock={speed} {inject.RULES}")


def first_only(wrong: Script) -> Script:
    @named(f"{wrong.__doc__}, but on the first connection only: then it echoes")
    def script(conversation: Conversation) -> None:
        (wrong if conversation.number == 0 else echo)(conversation)

    return script


# ---- a server without progress -------------------------------------------------------------

def test_a_server_without_progress_is_given_up(
        chapter: Chapter, start_client: StartClient, start_peer: StartPeer,
        story: Story) -> None:
    started = [(script, mode, mode.start(start_client, peer=start_peer(first_only(script)),
                                         env=fast()))
               for script in (silent, hold, never_closes) for mode in modes_of(chapter)]
    for script, mode, client in started:
        echoed = mode.length if script is never_closes else 0
        client.expect_failure(f"no progress for 10 seconds after {echoed} bytes of echo")
        story.check(time.monotonic() - client.started_at > 0.9 * TEN, "ten seconds of patience",
                    "it gave up earlier")
        if mode is CROWD:  # the others had their echo
            echoes = ROUNDS * (GUESTS - (script is not never_closes))
            client.expect_report(f"{GUESTS} guests, {echoes} echoes, 1 error")


@ours
def test_a_server_that_accepts_nobody_is_given_up(start_client: StartClient) -> None:
    with full_backlog() as port:
        for client in [mode.start(start_client, "--port", port, env=fast(100)) for mode in MODES]:
            client.expect_failure(f"client: connect 127.0.0.1:{port}: Connection timed out")


@ours
def test_patience_ends_even_while_somebody_types(
        start_client: StartClient, start_peer: StartPeer, terminal: Callable[..., Terminal],
        story: Story) -> None:
    """Typing is no progress: only what comes back is."""
    keyboard = terminal()
    client = start_client("-", peer=start_peer(silent), stdin=keyboard.inside, env=fast(100))
    with story.summed_up("typed a line every second of the fast clock, at a terminal"):
        typing = time.monotonic()
        while client.process.poll() is None and time.monotonic() - typing < proc.PATIENCE:
            keyboard.type(b"Hello?\n")
            time.sleep(1 / 100)  # a person at a keyboard
        story.check(client.process.poll() is not None, "the client to give up meanwhile",
                    "it goes on for as long as somebody types")
    client.expect_failure("client: no progress for 10 seconds after 0 bytes of echo")


# ---- what takes its time -------------------------------------------------------------------

@pytest.mark.fault(62)
@ours
def test_a_slow_server_and_a_keyboard_and_reader_that_pause_are_not_given_up(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    """Longer than ten seconds in all, but never without progress for so long: that is the
    server. And `./client - <big.bin | less`: nothing moves, but the server is not to blame."""
    def trickling(conversation: Conversation) -> None:
        """echoes two bytes every second of the fast clock"""
        for data in conversation.chunks():
            for at in range(0, len(data), 2):
                time.sleep(1 / FAST)  # to be slow is what it is for
                conversation.send(data[at : at + 2])

    peer, data = start_peer(echo), random_bytes(11, 100_000 if inject.RULES else 2 * MIB)
    idle = start_client("-", peer=peer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=fast())
    idle.type(b"I shall be back\n")
    idle.expect_echo(b"I shall be back\n")
    paused = start_client("-", peer=peer, stdin=data, stdout=subprocess.PIPE, env=fast())

    slow, message = start_peer(trickling), "Twenty-four bytes of it."
    for client in [start_client(*arguments, peer=slow, env=fast(), stdin=message.encode())
                   for arguments in ([message], ["-"], ["--guests", "2", message[18:]])]:
        client.expect_success()
        story.check(time.monotonic() - client.started_at > TEN, "more than ten seconds",
                    "it was faster")

    story.tell("left the other two alone for more than ten seconds of their clock")
    idle.type(b"Here I am\n")
    idle.expect_echo(b"Here I am\n")
    idle.end_input()
    idle.expect_success()
    copy = paused.hear(len(data) + 1)
    paused.expect_success()
    story.check(copy == data, "the same bytes on stdout as on stdin", f"there are {len(copy)}")


@pytest.mark.fault(59)
@ours
def test_an_answer_that_came_while_it_was_stopped_is_in_time(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    """Ctrl-Z, and fg after a minute: the limit has run out, and the echo is there."""
    received, go_on = threading.Semaphore(0), threading.Event()

    def held(conversation: Conversation) -> None:
        """receives a message, and echoes it when all clients are stopped"""
        data = conversation.socket.recv(CHUNK)
        received.release()
        go_on.wait(proc.PATIENCE)
        conversation.send(data)
        echo(conversation)

    clients = []
    for arguments, connections in ((["Hello"], 1), (["-"], 1), (["--guests", "200"], 200)):
        clients.append(start_client(*arguments, peer=start_peer(held), stdin=b"Hello",
                                    env=fast(10)))
        for _ in range(connections):
            heard = received.acquire(timeout=proc.PATIENCE)
            story.check(heard, f"{connections} messages at the peer", "some are missing")
        clients[-1].signal(signal.SIGSTOP)
        stopped = proc.eventually(lambda: proc.state(clients[-1].process.pid) == "T")
        story.check(stopped, "the client to stop", "it did not")
    go_on.set()
    story.tell("the peers answered while the clients were stopped for more than ten seconds")
    time.sleep(1.1)
    for client in clients:
        client.signal(signal.SIGCONT)
    for client in clients:
        client.expect_success()
