"""Short runs of a server and a client, told as facts: nothing in here fails a test.

Nobody knows beforehand which connection an injected error hits. So a run goes on to its end
whatever happens, and test_each_call_fails.py judges what came of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Optional

import inject
from harness import proc
from harness.chapters import Chapter, program
from harness.proc import PATIENCE
from harness.server import LISTENING
from harness.story import Story, tail

LONG = random.Random(27).randbytes(3000)  # more than one segment

# What can become of a connection.
SERVED, TURNED_AWAY, WRONG, HANGS = "served", "turned away", "got wrong bytes", "waits for ever"


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
        while message:
            part = self.socket.recv(len(message))
            if not part:
                raise EOFError
            if not message.startswith(part):
                raise ValueError
            message = message[len(part):]

    def _receive_end(self) -> None:
        if self.socket.recv(1):
            raise ValueError

    def say(self, message: bytes) -> None:
        self._try(self.socket.sendall, message)
        self._try(self._receive, message)

    def hear_end(self) -> None:
        self._try(self._receive_end)
        self.socket.close()

    def finish(self) -> None:
        self._try(self.socket.shutdown, socket.SHUT_WR)
        self.hear_end()


@dataclass
class ServerRun:
    listened: bool = False
    ended: Optional[int] = None  # the exit status of a server that ended before SIGTERM
    stopped: Optional[int] = None  # the exit status after SIGTERM; None: it did not end
    peers: list[str] = field(default_factory=list)  # the fate of each
    calm: bool = True  # next to no CPU while its connections were silent
    descriptors: int = 0  # open at the end, with one connection
    stderr: str = ""

    def __str__(self) -> str:
        end = proc.status_name(self.stopped)
        return (f"{'listened' if self.listened else 'did not listen'}; {', '.join(self.peers)}; "
                f"{'' if self.calm else 'spun; '}{end}{'' if self.ended is None else ' by itself'}"
                f"; {self.descriptors} descriptors; stderr:\n{tail(self.stderr)}")


def run_server(chapter: Chapter, rules: str, note: Path) -> ServerRun:
    run = ServerRun()
    process = proc.start([str(program(chapter, "server")), "--port", "0"],
                         inject.environment(rules, str(note)),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log, errors = (proc.Output(Story(), "log", pipe) for pipe in (process.stdout, process.stderr))
    try:
        port = _await_listening(process.pid, log, silent=rules.startswith(("write:", "poll:")))
        run.listened = port > 0
        if run.listened:
            _visit(run, process, port, chapter)
        run.stopped = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        proc.end(process)
        log.finish(), errors.finish()
    run.stderr = errors.text
    return run


def _await_listening(pid: int, log: proc.Output, silent: bool) -> int:
    """The port: by the server's line, or, where that may be lost, by what the kernel knows."""
    if silent:
        proc.eventually(lambda: proc.listening(pid) or not log.is_open())
        return (proc.listening(pid) or ("", 0))[1]
    log.wait_for(LISTENING.search)
    line = LISTENING.search(log.text)
    return int(line[2]) if line else 0


def _visit(run: ServerRun, process: "subprocess.Popen[bytes]", port: int,
           chapter: Chapter) -> None:
    """One connection that stays, two that come and go, and one that is there at the end."""
    first = Peer(port)
    first.say(b"good evening")
    if chapter.one_at_a_time:
        first.finish()
    others = [Peer(port), Peer(port)]
    for other in others:
        other.say(LONG)
        other.finish()
    if chapter.at_once:
        first.say(b"are you still there?")
        first.finish()
    last = Peer(port)
    last.say(b"good night")
    run.calm = any(_is_calm(process.pid) for _ in range(5))
    run.descriptors = proc.descriptors([process.pid])
    run.ended = process.poll()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    if chapter.clean_end:
        last.hear_end()
    run.peers = [peer.fate for peer in (first, *others, last)]


def _is_calm(pid: int) -> bool:
    awake, start = proc.awake_seconds([pid]), time.monotonic()
    time.sleep(0.06)
    return proc.awake_seconds([pid]) - awake < 0.5 * (time.monotonic() - start)


# ---- clients ------------------------------------------------------------------------------

@contextlib.contextmanager
def echo_server() -> Iterator[int]:
    """The port of a right server in this process, a thread for each connection."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while data := self.request.recv(65536):
                    self.request.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


_LINES = b"".join(b"line %d of the conversation\n" % number for number in range(200))
_MESSAGE = "".join(random.Random(8).choices("abcdefgh", k=6000))


@dataclass(frozen=True)
class Errand:
    """What a client is to do, and what it must then have printed."""

    name: str
    arguments: tuple[str, ...]
    output: str  # a regular expression
    stdin: bytes = b""
    keyboard: bool = False  # stdin is a pipe, not a file


ERRANDS = (
    Errand("message", (_MESSAGE,), "Successfully connected to server\n"
           f"Sending message: '{_MESSAGE}'\nReceived echo from server: '{_MESSAGE}'\n"),
    Errand("file", ("-",), re.escape(_LINES.decode()), _LINES),
    Errand("keyboard", ("-",), re.escape(_LINES.decode()), _LINES, keyboard=True),
    Errand("crowd", ("--guests", "3", "--rounds", "2"),
           r"3 guests, 6 echoes, 0 errors, \d+\.\d\d s\n"),
)


@dataclass
class ClientRun:
    hangs: bool
    status: Optional[int]
    right: bool  # stdout is what the errand was for
    stderr: str

    def __str__(self) -> str:
        return (f"{'hung' if self.hangs else proc.status_name(self.status)}; stdout is "
                f"{'right' if self.right else 'wrong'}; stderr:\n{tail(self.stderr)}")


def run_client(chapter: Chapter, errand: Errand, port: int, rules: str, note: Path) -> ClientRun:
    hangs = False
    with tempfile.TemporaryFile() as file:
        file.write(errand.stdin)
        file.seek(0)
        process = proc.start(
            [str(program(chapter, "client")), "--port", str(port), *errand.arguments],
            inject.environment(rules, str(note)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.PIPE if errand.keyboard else file)
        try:
            typed = errand.stdin if errand.keyboard else None
            out, err = process.communicate(typed, PATIENCE)
        except subprocess.TimeoutExpired:
            hangs = True
            process.kill()
            out, err = process.communicate()
        finally:
            proc.end(process)
    right = re.fullmatch(errand.output, out.decode("utf-8", "replace")) is not None
    return ClientRun(hangs, process.returncode, right, err.decode("utf-8", "replace"))
