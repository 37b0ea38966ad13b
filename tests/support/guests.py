"""Guests of an echo server.

A guest remembers what the server owes him: every byte that he has sent and that has not come
back. Each byte that arrives is compared with that debt at once, so that no test can forget to
look, and the first wrong byte is named by its offset.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import socket
import struct
import time
from typing import Callable, NoReturn, Sequence

from support.story import Story

# Seconds without any progress after which a test gives up.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "15"))
CHUNK = 256 * 1024


class Guest:
    def __init__(self, story: Story, address: tuple[str, int], name: str = "",
                 receive_buffer: int = 0,
                 make_socket: Callable[[int, int], socket.socket] = socket.socket) -> None:
        self.story = story
        self.address = address
        self.name = name or story.next_guest()
        self.owed = bytearray()
        self.received = 0
        self.at_end = False
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = make_socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)

    # Coming

    def knock(self) -> None:
        """Starts to connect. The kernel completes it even while the server is busy."""
        error = self.socket.connect_ex(self.address)
        if error not in (0, errno.EINPROGRESS):
            self._fail("to connect", os.strerror(error))

    def step_in(self) -> None:
        """Waits until the kernel has connected him."""
        self._wait(select.POLLOUT, "to connect")
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._fail("to connect", os.strerror(error))
        try:
            met_itself = self.socket.getsockname() == self.socket.getpeername()
        except OSError as reset_meanwhile:
            self._fail("to connect", str(reset_meanwhile.strerror))
        if met_itself:
            self._fail("to connect to a server", "there is none: it met itself")
        self.story.tell(f"{self.name} connected")

    @property
    def own_address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    # Talking

    def ready(self, events: int, within: float) -> bool:
        """Can he read (POLLIN) or write (POLLOUT) within these seconds?"""
        poll = select.poll()
        poll.register(self.socket, events)
        return bool(poll.poll(within * 1000))

    def give(self, data: bytes) -> int:
        """One send, which may take a part only, or nothing."""
        try:
            count = self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._fail("to send", f"{error.strerror} after {self.received} bytes of echo")
        self.owed += data[:count]
        return count

    def take(self, size: int = CHUNK) -> int:
        """One read. What arrives is held against what is owed; notes the end in at_end."""
        try:
            echo = self.socket.recv(size)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._fail(self._hope(), f"{error.strerror} after {self.received} bytes of echo")
        self.at_end = not echo
        self._compare(echo)
        del self.owed[: len(echo)]
        self.received += len(echo)
        return len(echo)

    def send(self, data: bytes) -> None:
        """Sends all of it, reads nothing."""
        self.story.tell(f"{self.name} sent {describe(data)}")
        done = 0
        while done < len(data):
            self._wait(select.POLLOUT, f"the server to take {len(data)} bytes")
            done += self.give(data[done : done + CHUNK])

    def say(self, data: bytes) -> None:
        """Sends, reads the echo meanwhile, and is content when all of it has come back."""
        self.story.tell(f"{self.name} said {describe(data)} and waited for the echo")
        converse([self], [data])

    def read_echo(self) -> None:
        """Reads until nothing is owed any more."""
        self.story.tell(f"{self.name} read the {len(self.owed)} bytes it was owed")
        converse([self], [b""])

    def hears_echo(self, within: float) -> bool:
        """Does the first part of what is owed arrive within these seconds?"""
        return self.ready(select.POLLIN, within) and self.take() > 0

    def fill_the_pipes(self, quiet: float = 0.15) -> int:
        """Sends and never reads, until nobody has taken a byte for `quiet` seconds."""
        taken = fill_the_pipes([self], 64 << 20, quiet)
        self.story.tell(f"{self.name} sent {taken} bytes and read none, then nobody took more")
        return taken

    def is_served(self) -> bool:
        """Sends a byte. Comes its echo, or the door in the face, which may be FIN or RST?"""
        try:
            self.socket.send(b"!")
            return self.ready(select.POLLIN, PATIENCE) and self.socket.recv(1) == b"!"
        except OSError:
            return False

    # Leaving

    def finish(self) -> None:
        """Ends the sending side; the echo may still be on its way."""
        self.story.tell(f"{self.name} ended its sending side")
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(self._hope(), f"{error.strerror} after {self.received} bytes of echo")

    def expect_goodbye(self, pause: float = 0, may_miss: int = 0) -> None:
        """Reads to the server's FIN: it must come, and only after all that is owed."""
        while not self.at_end:
            self._wait(select.POLLIN, self._hope())
            self.take(CHUNK if not pause else 16 * 1024)
            time.sleep(pause)
        if len(self.owed) > may_miss:
            self._fail(self._hope(), f"the server closed after {self.received} bytes of echo, "
                       f"{len(self.owed)} bytes too early")
        self.story.tell(f"{self.name} heard the server's goodbye after {self.received} bytes")

    def leave(self) -> None:
        """The polite way: the sending side first, then the rest of the echo, then goodbye."""
        self.finish()
        self.expect_goodbye()
        self.close()

    def reset(self) -> None:
        """The rude way: a RST, and everything on the way is lost."""
        self.story.tell(f"{self.name} reset its connection")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    # Behind the scenes

    def _hope(self) -> str:
        return f"{len(self.owed)} more bytes of echo" if self.owed else "the server's goodbye"

    def _fail(self, expected: str, but: str) -> NoReturn:
        self.story.fail(f"{self.name}: {expected}", but)

    def _wait(self, events: int, expected: str) -> None:
        if not self.ready(events, PATIENCE):
            self._fail(expected, f"nothing happened for {PATIENCE:g} seconds")

    def _compare(self, echo: bytes) -> None:
        if echo == self.owed[: len(echo)]:
            return
        for offset, (sent, got) in enumerate(zip(self.owed, echo)):
            if sent != got:
                self._fail(f"byte {self.received + offset} to come back as 0x{sent:02x}",
                           f"it came back as 0x{got:02x} in {excerpt(echo, offset)}")
        self._fail("nothing but the echo", f"more came back than was sent: "
                   f"{excerpt(echo, len(self.owed))}")


class Crowd(list[Guest]):
    """Many guests, who act one after the other unless it says `at once`."""

    def leave(self) -> None:
        story = self[0].story
        with story.summed_up(f"the {len(self)} guests read what was owed and left"):
            for guest in self:
                guest.leave()

    def say_at_once(self, messages: Sequence[bytes]) -> None:
        story = self[0].story
        first = describe(messages[0])
        with story.summed_up(f"{len(self)} guests spoke at once, {first} and so on"):
            converse(self, messages)


def converse(guests: Sequence[Guest], messages: Sequence[bytes], finish: bool = False) -> None:
    """All talk at once: each sends and reads, whichever is possible next, until all have
    their whole echo. With `finish` each ends its sending side after its last byte."""
    unsent = dict(zip(guests, messages))
    done = dict.fromkeys(guests, 0)
    with selectors.DefaultSelector() as selector:
        for guest in guests:
            selector.register(guest.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, guest)
        while unsent:
            ready = selector.select(PATIENCE)
            if not ready:
                one = next(iter(unsent))
                others = f" and {len(unsent) - 1} other guests" if len(unsent) > 1 else ""
                one._fail(one._hope(), f"the server sent nothing for {PATIENCE:g} seconds "
                          f"to it{others}")
            for key, events in ready:
                guest = key.data
                if events & selectors.EVENT_WRITE:
                    data = unsent[guest]
                    done[guest] += guest.give(data[done[guest] : done[guest] + CHUNK])
                    if done[guest] == len(data):
                        selector.modify(guest.socket, selectors.EVENT_READ, guest)
                        if finish:
                            guest.finish()
                if events & selectors.EVENT_READ:
                    guest.take()
                if guest.at_end and (guest.owed or done[guest] < len(unsent[guest])):
                    guest._fail(guest._hope(), f"the server closed after {guest.received} bytes "
                                f"of echo, {len(guest.owed)} bytes too early")
                if not guest.owed and done[guest] == len(unsent[guest]):
                    selector.unregister(guest.socket)
                    del unsent[guest]


def fill_the_pipes(guests: Sequence[Guest], limit: int, quiet: float) -> int:
    """All send and nobody reads, until nobody has taken a byte for `quiet` seconds or each
    has sent `limit` bytes."""
    block = os.urandom(64 * 1024)
    sent = dict.fromkeys(guests, 0)
    with selectors.DefaultSelector() as selector:
        for guest in guests:
            selector.register(guest.socket, selectors.EVENT_WRITE, guest)
        while selector.get_map():
            ready = selector.select(quiet)
            if not ready:
                break
            for key, _ in ready:
                sent[key.data] += key.data.give(block)
                if sent[key.data] >= limit:
                    selector.unregister(key.data.socket)
    return sum(sent.values())


def describe(data: bytes) -> str:
    return repr(data)[1:] if len(data) <= 24 else f"{len(data)} bytes"


def excerpt(data: bytes, offset: int) -> str:
    return repr(bytes(data[offset : offset + 24]))[1:]


def can_connect(address: tuple[str, int]) -> bool:
    with contextlib.closing(socket.socket(
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)) as knocker:
        return (knocker.connect_ex(address) == 0
                and knocker.getsockname() != knocker.getpeername())
