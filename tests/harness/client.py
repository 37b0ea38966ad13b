"""A raw TCP client of an echo server.

It remembers what the server owes: every byte that it has sent and that has not come back.
Each byte that arrives is compared with that debt at once, so that no test can forget to look,
and the first wrong byte is reported with its offset.
"""

from __future__ import annotations

import errno
import os
import random
import select
import selectors
import socket
import struct
import time
from typing import Callable, NoReturn, Sequence

from .proc import PATIENCE
from .story import Story, describe, difference

CHUNK = 256 * 1024
MIB = 1 << 20


class Client:
    def __init__(self, story: Story, address: tuple[str, int], receive_buffer: int = 0,
                 make_socket: Callable[[int, int], socket.socket] = socket.socket) -> None:
        self.story, self.address, self.name = story, address, story.name("client")
        self.owed = bytearray()
        self.received = 0
        self.at_end = False
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = make_socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)

    def connect(self, wait: bool = True) -> None:
        """The kernel completes it even while the server is busy or stopped, as long as there
        is room in the backlog."""
        error = self.socket.connect_ex(self.address)
        if wait:
            self._wait(select.POLLOUT, "to connect")
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error not in (0, errno.EINPROGRESS):
            self._fail("to connect", os.strerror(error))
        self.story.tell(f"{self.name} {'connected' if wait else 'set out'}")

    @property
    def own_address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    # ---- talking ----

    def say(self, data: bytes) -> None:
        """Sends it, reads meanwhile, until exactly these bytes have come back."""
        self.story.tell(f"{self.name} said {describe(data)} and waited for the echo")
        converse([self], [data])

    def send(self, data: bytes) -> None:
        """Sends all of it, and reads nothing."""
        self.story.tell(f"{self.name} sent {describe(data)}")
        done = 0
        while done < len(data):
            self._wait(select.POLLOUT, f"the server to take {describe(data)}")
            done += self.give(data[done : done + CHUNK])

    def send_urgent(self, byte: bytes) -> None:
        self.story.tell(f"{self.name} sent {describe(byte)} as urgent (MSG_OOB)")
        self.socket.send(byte, socket.MSG_OOB)
        self.owed += byte

    def hear(self) -> None:
        """Reads until nothing is owed any more."""
        self.story.tell(f"{self.name} read the {len(self.owed)} bytes it was owed")
        converse([self], [b""])

    def hears(self, within: float = PATIENCE) -> bool:
        """Whether the first part of what is owed arrives within these seconds."""
        return self.ready(select.POLLIN, within) and self.take() > 0

    def fill(self) -> int:
        """Sends and never reads, until nobody takes a byte any more."""
        taken = fill([self])
        self.story.tell(f"{self.name} sent {taken} bytes, read none, and nobody takes more")
        return taken

    def is_served(self) -> bool:
        """Sends a byte: whether its echo comes, and not the end or a reset."""
        try:
            self.socket.send(b"!")
            return self.ready(select.POLLIN, PATIENCE) and self.socket.recv(1) == b"!"
        except OSError:
            return False

    # ---- ending ----

    def half_close(self) -> None:
        """Ends the sending side; the echo may still be on its way."""
        self.story.tell(f"{self.name} ended its sending side")
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(self._hope(), f"{error.strerror} after {self.received} bytes of echo")

    def expect_end(self, pause: float = 0, may_miss: int = 0, close: bool = True) -> None:
        """Reads to the server's end, which must come only after all that is owed; `may_miss`
        of the last bytes may be missing."""
        while not self.at_end:
            self._wait(select.POLLIN, self._hope())
            self.take(16 * 1024 if pause else CHUNK)
            time.sleep(pause)
        if len(self.owed) > may_miss:
            self.fail_at_end()
        self.story.tell(f"{self.name} saw the end after {self.received} bytes")
        if close:
            self.close()

    def finish(self) -> None:
        """Ends the sending side, reads the rest of the echo, the end, and nothing more."""
        self.half_close()
        self.expect_end()

    def reset(self) -> None:
        """Ends it with a RST; whatever is on the way is lost."""
        self.story.tell(f"{self.name} reset its connection")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    # ---- one step at a time, for those who need it ----

    def ready(self, events: int, within: float) -> bool:
        """Whether it can read (POLLIN) or write (POLLOUT) within these seconds."""
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
        """One read. What arrives is compared with what is owed; notes the end in at_end."""
        try:
            echo = self.socket.recv(size)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._fail(self._hope(), f"{error.strerror} after {self.received} bytes of echo")
        self.at_end = not echo
        if echo != self.owed[: len(echo)]:
            self._fail(*difference(self.owed, echo, self.received))
        del self.owed[: len(echo)]
        self.received += len(echo)
        return len(echo)

    def fail_at_end(self) -> NoReturn:
        self._fail(self._hope(), f"the server ended after {self.received} bytes of echo, "
                   f"{len(self.owed)} too early")

    def _hope(self) -> str:
        if not self.owed:
            return "the server's end"
        return f"{len(self.owed)} more byte{'s' * (len(self.owed) > 1)} of echo"

    def _fail(self, expected: str, but: str) -> NoReturn:
        self.story.fail(f"{self.name}: {expected}", but)

    def _wait(self, events: int, expected: str) -> None:
        if not self.ready(events, PATIENCE):
            self._fail(expected, f"nothing happened for {PATIENCE:g} seconds")


class Crowd(list):  # of Client
    """Many clients, which act one after the other unless it says `at once`."""

    def say_at_once(self, messages: Sequence[bytes]) -> None:
        first = describe(messages[0])
        with self[0].story.summed_up(f"{len(self)} clients spoke at once, {first} and so on"):
            converse(self, messages)

    def send_each(self, message: bytes) -> None:
        self._each(f"sent {describe(message)}", lambda client: client.send(message))

    def finish(self) -> None:
        self._each("read what it was owed and left", Client.finish)

    def expect_end(self) -> None:
        self._each("read its echo, and then the end", Client.expect_end)

    def close(self) -> None:
        self._each("closed", Client.close)

    def _each(self, what: str, act: Callable[[Client], None]) -> None:
        with self[0].story.summed_up(f"each of the {len(self)} {what}"):
            for client in self:
                act(client)

    def count_served(self) -> int:
        with self[0].story.summed_up(f"each of the {len(self)} sent a byte, and listened"):
            return sum(client.is_served() for client in self)


def converse(clients: Sequence[Client], messages: Sequence[bytes], finish: bool = False) -> None:
    """All talk at once: each sends and reads, whichever is possible next, until all have
    their whole echo. With `finish` each ends its sending side after its last byte."""
    unsent = dict(zip(clients, messages))
    done = dict.fromkeys(clients, 0)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        while unsent:
            ready = selector.select(PATIENCE)
            if not ready:
                one, others = next(iter(unsent)), len(unsent) - 1
                one._fail(one._hope(), f"the server sent nothing for {PATIENCE:g} seconds to it"
                          + (f" and {others} other clients" if others else ""))
            for key, events in ready:
                client = key.data
                data = unsent[client]
                if events & selectors.EVENT_WRITE:
                    done[client] += client.give(data[done[client] : done[client] + CHUNK])
                    if done[client] == len(data):
                        selector.modify(client.socket, selectors.EVENT_READ, client)
                        if finish:
                            client.half_close()
                if events & selectors.EVENT_READ:
                    client.take()
                if client.at_end and (client.owed or done[client] < len(data)):
                    client.fail_at_end()
                if not client.owed and done[client] == len(data):
                    selector.unregister(client.socket)
                    del unsent[client]


def fill(clients: Sequence[Client], limit: int = 64 * MIB, quiet: float = 0.1) -> int:
    """All send and nobody reads, until nobody has taken a byte for `quiet` seconds or each
    has sent `limit` bytes."""
    block = os.urandom(64 * 1024)
    sent = dict.fromkeys(clients, 0)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_WRITE, client)
        while selector.get_map() and (ready := selector.select(quiet)):
            for key, _ in ready:
                sent[key.data] += key.data.give(block)
                if sent[key.data] >= limit:
                    selector.unregister(key.data.socket)
    return sum(sent.values())


def random_bytes(seed: int, size: int) -> bytes:
    """The same each time, and no part of it like another: a swapped or doubled part shows."""
    return random.Random(seed).getrandbits(size * 8).to_bytes(size, "little") if size else b""
