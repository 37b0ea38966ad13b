"""Each call of each program fails: the first time, the second ... until a run does not get there.

Nobody knows beforehand which connection that hits, so a run goes on to its end whatever happens,
and is judged by what came of it. pytest tests/ tries the most frequent errors, THOROUGH=1 all:

    THOROUGH=1 pytest tests/inject -k 'server and 04-epoll' -s
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
import re
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Optional

import pytest

import inject
from harness import proc
from harness.chapters import VARIANT, Chapter, program
from harness.machine import THOROUGH
from harness.peer import ClientProgram, echo
from harness.server import LISTENING, Server
from harness.story import Story
from inject.table import CLIENT, OTHER, SERVER, Failure

pytestmark = [
    pytest.mark.ours_only("what it does when calls fail"),
    pytest.mark.skipif(bool(VARIANT != "plain" or inject.RULES), reason="SAN or INJECT is set"),
]

AT_ONCE = 16  # runs; most of the time they wait
LONG = random.Random(27).randbytes(3000)  # more than one segment
SERVED, TURNED_AWAY, WRONG, HANGS = "served", "turned away", "got wrong bytes", "waits for ever"
NOTHING = Failure("nothing", "", False, True, True)


@dataclass
class Run:
    right: bool = False  # a server has listened; a client has printed what it was to print
    ended: Optional[int] = None  # the exit status of a server that ended before SIGTERM
    status: Optional[int] = None  # the exit status; None: it did not end
    peers: list[str] = field(default_factory=list)  # what became of each connection
    calm: bool = True  # next to no CPU while its connections were silent
    descriptors: int = 0  # open at the end, with one connection
    stderr: str = ""


def calls_of(program: Path) -> set[str]:
    """What it calls in libc; _FORTIFY_SOURCE has another name for recv(). Libc allocates too."""
    listed = proc.run(["nm", "-D", "--undefined-only", str(program)])
    if listed.returncode != 0:
        pytest.skip("nm cannot list the calls here")
    names = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    names |= {"malloc", "calloc", "realloc"}
    return {re.sub(r"__(\w+)_chk", r"\1", name) for name in names}


def wanted(table: Iterable[Failure], program: Path) -> list[Failure]:
    calls = calls_of(program)
    return [failure for failure in table
            if failure.call in calls and (failure.quick or THOROUGH)]


def fail_each(story: Story, failures: Iterable[Failure], directory: Path,
              run: Callable[[str, str], Run], is_right: Callable[[Run, Failure], bool]) -> None:
    """`run` takes the rule, and the file that exists when it has applied."""

    def attempts(failure: Failure) -> list[tuple[bool, str]]:
        tried = []
        for number in itertools.count(1):
            rule = f"{failure.call}:{getattr(errno, failure.error)}@{number}{'+' * failure.stays}"
            note = directory / rule
            result = run(rule, str(note))
            if not note.exists():
                return tried
            tried.append((is_right(result, failure),
                          f"{failure.call} number {number} failed with {failure.error}: {result}"))

    usual = run("", "")
    story.check(is_right(usual, NOTHING), "a run in which nothing fails to be right", f"{usual}")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        tried = [attempt for found in threads.map(attempts, failures) for attempt in found]
    wrong = [text for fine, text in tried if not fine]
    print(f"{len(tried)} injected errors, {len(wrong)} went wrong")
    story.tell(f"let a call fail in {len(tried)} runs, another one in each")
    story.check(not wrong, "each to end well", f"{len(wrong)} did not:\n" + "\n".join(wrong[:30]))


# ---- servers -------------------------------------------------------------------------------

class Peer:
    """A connection to the server, and the first thing that goes wrong with it."""

    def __init__(self, port: int) -> None:
        self.fate = SERVED
        self.socket = socket.socket()
        self.socket.settimeout(proc.PATIENCE)
        self._try(self.socket.connect, ("127.0.0.1", port))

    def _try(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            if self.fate == SERVED:
                call(*arguments)
        except OSError as error:
            self.fate = HANGS if isinstance(error, socket.timeout) else TURNED_AWAY

    def _hear(self, message: bytes) -> None:
        """An empty message: the end."""
        heard = b""
        while len(heard) < (len(message) or 1) and (part := self.socket.recv(len(LONG))):
            heard += part
        if heard != message:
            self.fate = TURNED_AWAY if message.startswith(heard) else WRONG

    def say(self, message: bytes) -> None:
        self._try(self.socket.sendall, message)
        self._try(self._hear, message)

    def hear_end(self) -> None:
        self._try(self._hear, b"")
        self.socket.close()

    def finish(self) -> None:
        self._try(self.socket.shutdown, socket.SHUT_WR)
        self.hear_end()


def run_server(chapter: Chapter, rule: str, note: str) -> Run:
    """Its clock is fast, so that it does not wait long for a tick when it ends."""
    run = Run()
    server = Server(chapter, Story(), env=inject.environment(f"{rule} clock=5", note))
    unlogged = rule.startswith(("write:", "poll:"))  # its line may be lost: ask the kernel
    listens = lambda: proc.listening(server.process.pid)
    try:
        proc.eventually(lambda: LISTENING.search(server.log.text) or not server.log.is_open()
                        or unlogged and listens())
        run.right = listens() is not None
        if run.right:
            visit(run, server, listens()[1])
        run.status = server.process.wait(proc.PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        server.stop()
    run.stderr = server.errors.text
    return run


def visit(run: Run, server: Server, port: int) -> None:
    """One connection that stays, two that come and go, and one that is there at the end."""
    first = Peer(port)
    first.say(b"good evening")
    if server.chapter.one_at_a_time:
        first.finish()
    others = [Peer(port), Peer(port)]
    for other in others:
        other.say(LONG)
        other.finish()
    if server.chapter.at_once:
        first.say(b"are you still there?")
        first.finish()
    last = Peer(port)
    last.say(b"good night")
    run.calm = any(server.load(0.06) < 0.5 for _ in range(5))
    run.descriptors = server.descriptors()
    run.ended = server.process.poll()
    with contextlib.suppress(ProcessLookupError):
        server.process.send_signal(signal.SIGTERM)
    if server.chapter.clean_end:
        last.hear_end()
    run.peers = [peer.fate for peer in (first, *others, last)]


@pytest.mark.fault(11, 12, 13)
@pytest.mark.fault(27, 64, happened="exit 1 at start, turned away later")
def test_when_a_call_of_a_server_fails_one_connection_suffers_at_most(chapter, story, tmp_path):
    failures = wanted(SERVER, program(chapter, "server"))
    usual = run_server(chapter, "", "")

    def is_right(run: Run, failure: Failure) -> bool:
        if not run.right:
            return not failure.unnoticed and run.status == 1 and run.stderr.startswith("server: ")
        turned_away = run.peers.count(TURNED_AWAY)
        return (run.ended is None and run.calm and run.descriptors <= usual.descriptors
                and run.status == (0 if chapter.clean_end else -signal.SIGTERM)
                and run.peers.count(SERVED) + turned_away == len(run.peers)
                and turned_away <= (0 if failure.unnoticed else 4 if failure.stays else 1)
                and bool(run.stderr or not turned_away))

    fail_each(story, failures, tmp_path, lambda *rule: run_server(chapter, *rule), is_right)


@pytest.mark.promise("level_triggered")
def test_a_socket_that_epoll_cannot_watch_for_room_is_reported(start_server, story, tmp_path):
    """In the runs above every echo finds room, so that epoll never hears of a change."""
    note = tmp_path / "note"
    fifth = f"epoll_ctl:{errno.ENOMEM}@5"  # after the signals, the listener and two clients
    server = start_server(env=inject.environment(fifth, str(note)))
    other, stuck = server.client(), server.client(receive_buffer=16 * 1024)
    name = stuck.own_address
    server.log.expect(f"New connection from: {name}")
    story.check(not note.exists(), "epoll to hear of four descriptors", "there was a fifth call")
    story.tell("sent without end to the second, and read nothing, until its connection ended")
    stuck.socket.settimeout(proc.PATIENCE)
    with pytest.raises(ConnectionError):
        while True:
            stuck.socket.send(bytes(64 * 1024))
    server.errors.expect("Failed to watch socket; err = Cannot allocate memory")
    server.log.expect(f"Connection closed by {name}")
    other.say(b"are you still there?")
    other.finish()


# ---- clients -------------------------------------------------------------------------------

MESSAGE = "".join(random.Random(8).choices("abcdefgh", k=6000))
LINES = b"".join(b"line %d of the conversation\n" % number for number in range(200))

# The arguments, stdin, and what must then have been printed.
ERRANDS = {
    "message": ([MESSAGE], b"", "Successfully connected to server\nSending message: "
                f"'{MESSAGE}'\nReceived echo from server: '{MESSAGE}'\n"),
    "file": (["-"], LINES, re.escape(LINES.decode())),
    "keyboard": (["-"], LINES, re.escape(LINES.decode())),
    "crowd": (["--guests", "3", "--rounds", "2"], b"", r"3 guests, 6 echoes, 0 errors, .* s\n"),
}


def run_client(chapter: Chapter, errand: str, port: int, rule: str, note: str) -> Run:
    run = Run()
    arguments, stdin, printed = ERRANDS[errand]
    client = ClientProgram(
        chapter, Story(), "--port", str(port), *arguments,
        stdin=subprocess.PIPE if errand == "keyboard" else stdin,
        env=inject.environment(rule, note))
    if client.process.stdin:
        with contextlib.suppress(BrokenPipeError), client.process.stdin as keyboard:
            keyboard.write(stdin)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.status = client.process.wait(proc.PATIENCE)
    run.right = re.fullmatch(printed, client.out.decode("utf-8", "replace")) is not None
    run.stderr = client.err
    client.stop()
    return run


@pytest.mark.of_clients
@pytest.mark.fault(13)
@pytest.mark.fault(27, happened="the client: exit 1")
@pytest.mark.parametrize("errand", ERRANDS)
def test_when_a_call_of_a_client_fails_it_says_so(chapter, story, tmp_path, start_peer, errand):
    failures = wanted(CLIENT, program(chapter, "client"))

    def is_right(run: Run, failure: Failure) -> bool:
        if run.status == 0:
            return run.right and not run.stderr
        return (not failure.unnoticed and run.status == 1 and run.stderr.startswith("client: ")
                and run.stderr.count("\n") == 1 and "no progress" not in run.stderr)

    port = start_peer(echo).port
    fail_each(story, failures, tmp_path,
              lambda *rule: run_client(chapter, errand, port, *rule), is_right)


@pytest.mark.parametrize("name", ["server", "client"])
def test_the_table_knows_every_call_that_can_fail(chapter, name):
    """A call that is new in a program wants a line in inject.c and in table.py."""
    unknown = {call for call in calls_of(program(chapter, name))
               if not re.fullmatch(OTHER, call)} - {failure.call for failure in SERVER}
    assert not unknown, f"not in table.py: {', '.join(sorted(unknown))}"
