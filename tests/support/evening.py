"""A short evening at an echo server to which something is done, and what became of each guest.

The tests elsewhere say what must happen, and stop at the first thing that does not. Here we do
not know beforehand whom a fault will hit. So an evening is lived to its end, whatever happens,
and told as plain facts; test_shortages_one_by_one.py and test_injected_errors.py judge them.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import Optional, Sequence

from support import facts
from support.chapters import Chapter
from support.guests import PATIENCE
from support.servers import LISTENING, Drain, binary, status_name

# What can become of a guest.
SERVED = "served"            # every byte came back, and then the goodbye
TURNED_AWAY = "turned away"  # the connection ended early; what came before was right
REFUSED = "refused"          # there is no door
WRONG = "got wrong bytes"
HANGS = "waits for ever"

MESSAGE = random.Random(27).randbytes(3000)


class Visitor:
    """A guest without a story: he notes what he meets, and never fails a test."""

    def __init__(self, address: tuple[str, int], patience: float) -> None:
        self.fate = SERVED
        self.socket = socket.socket()
        self.socket.settimeout(patience)
        self._try(self.socket.connect, address)
        if self.fate == TURNED_AWAY:
            self.fate = REFUSED

    def _try(self, call: object, *arguments: object) -> object:
        """Returns what the call returns, or None when his visit is over."""
        if self.fate != SERVED:
            return None
        try:
            return call(*arguments)  # type: ignore[operator]
        except socket.timeout:
            self.fate = HANGS
        except OSError:
            self.fate = TURNED_AWAY
        return None

    def says(self, message: bytes) -> None:
        self._try(self.socket.sendall, message)
        self.hears(message)

    def hears(self, message: bytes) -> None:
        heard = b""
        while self.fate == SERVED and len(heard) < len(message):
            part = self._try(self.socket.recv, len(message) - len(heard))
            if part == b"":
                self.fate = TURNED_AWAY
            heard += part or b""  # type: ignore[operator]
        if not message.startswith(heard):
            self.fate = WRONG

    def leaves(self) -> None:
        self._try(self.socket.shutdown, socket.SHUT_WR)
        self.hears_goodbye()

    def hears_goodbye(self) -> None:
        if self._try(self.socket.recv, 1):
            self.fate = WRONG
        self.socket.close()

    def visits(self) -> None:
        """A message that is longer than one segment, all at once."""
        self.says(MESSAGE)
        self.leaves()


@dataclass
class Evening:
    """The facts."""

    listened: bool = False
    status: Optional[int] = None  # of a server that ended before it was told to
    goodbye: Optional[int] = None  # its exit status after SIGTERM; None: it did not end
    guests: list[str] = field(default_factory=list)  # the fate of each, in their order
    calm: bool = True  # used next to no CPU while one guest sat and said nothing
    descriptors: int = 0  # open while one guest was inside, before SIGTERM
    stderr: str = ""

    def told(self) -> str:
        """All of it, for a reader who was not there."""
        if not self.listened:
            end = "hung" if self.status is None else f"ended with {status_name(self.status)}"
            return f"it never listened, but {end}; stderr: {self.stderr.strip() or '(nothing)'}"
        if self.status is None:
            start = "it listened and lived"
        else:
            start = f"it listened, and ended by itself with {status_name(self.status)}"
        end = "did not end" if self.goodbye is None else f"ended with {status_name(self.goodbye)}"
        lines = [start, f"guests: {', '.join(self.guests) or 'none'}"]
        lines += [] if self.calm else ["it spun"]
        lines += [f"after SIGTERM it {end}", f"stderr: {self.stderr.strip() or '(nothing)'}"]
        return "; ".join(lines)


def spend_evening(chapter: Chapter, before: Sequence[str],
                  patience: float = PATIENCE, silent: bool = False) -> Evening:
    """`before` goes before the server's own command: env or strace, with what they need. A guest
    waits for `patience` seconds. `silent`: its log may be lost."""
    evening = Evening()
    port = facts.free_port()
    process = subprocess.Popen([*before, str(binary(chapter, "server")), "--port", str(port)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    out, err = Drain(process.stdout), Drain(process.stderr)
    try:
        evening.listened = _listens(out, port, silent)
        if evening.listened:
            _receive_guests(chapter, evening, process, ("127.0.0.1", port), patience)
        else:
            evening.status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass  # it neither listens nor ends: status stays None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        out.finish()
        err.finish()
        evening.stderr = err.text
    return evening


def _listens(out: Drain, port: int, silent: bool) -> bool:
    """By its own words; where those may be lost, by the kernel's, although a server can still
    fail after those."""
    if silent:
        return facts.eventually(lambda: port in facts.listening_ports(), PATIENCE)
    out.wait_for(lambda text: LISTENING.search(text) is not None, PATIENCE)
    return LISTENING.search(out.text) is not None


def _receive_guests(chapter: Chapter, evening: Evening, process: "subprocess.Popen[bytes]",
                    address: tuple[str, int], patience: float) -> None:
    """One who stays, two who come and go; one who is there at closing time."""
    first = Visitor(address, patience)
    first.says(b"good evening")
    others = [Visitor(address, patience), Visitor(address, patience)]
    if chapter.one_at_a_time:
        first.leaves()
    for other in others:
        other.visits()
    if chapter.at_once:
        first.says(b"are you still there?")
        first.leaves()
    last = Visitor(address, patience)
    last.says(b"good night")
    evening.calm = _is_calm(process.pid)
    evening.descriptors = facts.descriptors([process.pid])
    evening.status = process.poll()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    if chapter.clean_goodbye:
        last.hears_goodbye()
    with contextlib.suppress(subprocess.TimeoutExpired):
        evening.goodbye = process.wait(PATIENCE)
    evening.guests = [guest.fate for guest in (first, *others, last)]


def _is_calm(pid: int) -> bool:
    """One calm look is enough. With the tracer, if there is one: it works for every call."""
    for _ in range(5):
        pids = facts.session_members(pid)
        start, before = time.monotonic(), facts.awake_seconds(pids)
        time.sleep(0.06)
        if facts.awake_seconds(pids) - before <= 0.5 * (time.monotonic() - start):
            return True
    return False
