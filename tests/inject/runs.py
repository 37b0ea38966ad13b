"""Short runs of a server and a client, told as facts: nothing in here fails a test.

Nobody knows beforehand which connection an injected error hits. So a run goes on to its end
whatever happens, and test_each_call_fails.py judges what came of it.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

import inject
from harness import proc
from harness.chapters import Chapter
from harness.peer import ClientProgram
from harness.proc import PATIENCE
from harness.server import LISTENING, Server
from harness.story import Story, tail

LONG = random.Random(27).randbytes(3000)  # more than one segment

# What can become of a connection.
SERVED, TURNED_AWAY, WRONG, HANGS = "served", "turned away", "got wrong bytes", "waits for ever"


@dataclass
class Run:
    right: bool = False  # a server has listened; a client has printed what it was to print
    ended: Optional[int] = None  # the exit status of a server that ended before SIGTERM
    status: Optional[int] = None  # the exit status; None: it did not end
    peers: list[str] = field(default_factory=list)  # the fate of each connection
    calm: bool = True  # next to no CPU while its connections were silent
    descriptors: int = 0  # open at the end, with one connection
    stderr: str = ""

    def __str__(self) -> str:
        end = "it did not end" if self.status is None else proc.status_name(self.status)
        return (f"{end}, {'' if self.ended is None else 'by itself, '}"
                f"{'' if self.calm else 'spun, '}{'right' if self.right else 'wrong'} stdout, "
                f"{', '.join(self.peers)}, {self.descriptors} descriptors; stderr:\n"
                f"{tail(self.stderr)}")


class Peer:
    """A connection to the server. Its fate is the first thing that goes wrong."""

    def __init__(self, port: int) -> None:
        self.fate = SERVED
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        self._try(self.socket.connect, ("127.0.0.1", port))

    def _try(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            if self.fate == SERVED:
                call(*arguments)
        except socket.timeout:
            self.fate = HANGS
        except (OSError, EOFError):
            self.fate = TURNED_AWAY
        except ValueError:
            self.fate = WRONG

    def _receive(self, message: bytes) -> None:
        """An empty message: the end."""
        while True:
            part = self.socket.recv(len(message) or 1)
            if not part and message:
                raise EOFError
            if not message.startswith(part):
                raise ValueError
            message = message[len(part):]
            if not message:
                return

    def say(self, message: bytes) -> None:
        self._try(self.socket.sendall, message)
        self._try(self._receive, message)

    def hear_end(self) -> None:
        self._try(self._receive, b"")
        self.socket.close()

    def finish(self) -> None:
        self._try(self.socket.shutdown, socket.SHUT_WR)
        self.hear_end()


def run_server(chapter: Chapter, rules: str, note: Path) -> Run:
    run = Run()
    server = Server(chapter, Story(), env=inject.environment(rules, str(note)))
    try:
        port = _await_listening(server, rules.startswith(("write:", "poll:")))
        run.right = port > 0
        if run.right:
            _visit(run, server, port)
        run.status = server.process.wait(PATIENCE if run.right else 1)
    except subprocess.TimeoutExpired:
        pass
    finally:
        server.stop()
    run.stderr = server.errors.text
    return run


def _await_listening(server: Server, silent: bool) -> int:
    """The port, by the server's line, or where that may be lost by what the kernel knows."""
    pid = server.process.pid
    if silent:
        proc.eventually(lambda: proc.listening(pid) or not server.log.is_open())
        return (proc.listening(pid) or ("", 0))[1]
    server.log.wait_for(LISTENING.search)
    line = LISTENING.search(server.log.text)
    return int(line[2]) if line else 0


def _visit(run: Run, server: Server, port: int) -> None:
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


_MESSAGE = "".join(random.Random(8).choices("abcdefgh", k=6000))
_LINES = b"".join(b"line %d of the conversation\n" % number for number in range(200))

# The arguments, stdin, and what must then have been printed.
ERRANDS = {
    "message": ([_MESSAGE], b"", "Successfully connected to server\nSending message: "
                f"'{_MESSAGE}'\nReceived echo from server: '{_MESSAGE}'\n"),
    "file": (["-"], _LINES, re.escape(_LINES.decode())),
    "keyboard": (["-"], _LINES, re.escape(_LINES.decode())),
    "crowd": (["--guests", "3", "--rounds", "2"], b"", r"3 guests, 6 echoes, 0 errors, .* s\n"),
}


def run_client(chapter: Chapter, errand: str, port: int, rules: str, note: Path) -> Run:
    run = Run()
    arguments, stdin, printed = ERRANDS[errand]
    client = ClientProgram(
        chapter, Story(), "--port", str(port), *arguments,
        stdin=subprocess.PIPE if errand == "keyboard" else stdin,
        env=inject.environment(rules, str(note)))
    try:
        if client.process.stdin:
            with contextlib.suppress(BrokenPipeError), client.process.stdin as keyboard:
                keyboard.write(stdin)
        run.status = client.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    run.right = re.fullmatch(printed, client.out.decode("utf-8", "replace")) is not None
    run.stderr = client.err
    client.stop()
    return run
