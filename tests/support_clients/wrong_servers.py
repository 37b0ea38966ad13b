"""Servers in Python, each with its own manners towards a guest. Most of them are bad.

Manners are a function that serves one visit, in a thread of its own:

    server = PythonServer(story, short(100))     echoes 100 bytes, then says goodbye
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Callable, Iterator

from support import facts
from support.guests import PATIENCE
from support.story import Story

CHUNK = 64 * 1024
WRONG = b"\xff"  # begins no message of our tests


class Visit:
    """One guest, from the server's side. The first to come has number 0."""

    def __init__(self, server: PythonServer, connection: socket.socket, number: int) -> None:
        self.server = server
        self.socket = connection
        self.number = number

    def chunks(self) -> Iterator[bytes]:
        """What the guest says, until his goodbye."""
        while True:
            data = self.socket.recv(CHUNK)
            if not data:
                self.server.goodbye_heard()
                return
            yield data

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def finish(self) -> None:
        """Our goodbye, and patience until the guest has said his: nothing is cut off."""
        self.socket.shutdown(socket.SHUT_WR)
        for _ in self.chunks():
            pass

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def hold(self) -> None:
        """Does nothing at all, until the test is over."""
        self.server.over.wait()


Manners = Callable[[Visit], None]


class PythonServer:
    def __init__(self, story: Story, manners: Manners, what: str = "") -> None:
        self.story = story
        self.what = what or getattr(manners, "__doc__", "") or manners.__name__
        self.over = threading.Event()
        self.manners = manners
        self._news = threading.Condition()
        self.guests = self.inside = self.most_inside = 0
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._door = _open_door()
        self.port: int = self._door.getsockname()[1]
        story.tell(f"started a server in Python at port {self.port}: it {self.what}")
        story.witnesses.append(self)
        self._start(self._receive)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _receive(self) -> None:
        with contextlib.suppress(OSError):  # the door is shut: the test is over
            while True:
                connection, _ = self._door.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections.append(connection)
                with self._news:
                    visit = Visit(self, connection, self.guests)
                    self.guests += 1
                    self.inside += 1
                    self.most_inside = max(self.most_inside, self.inside)
                    self._news.notify_all()
                self._start(self._serve, visit)

    def _serve(self, visit: Visit) -> None:
        with contextlib.suppress(OSError):  # the guest is gone
            self.manners(visit)
        visit.socket.close()

    def goodbye_heard(self) -> None:
        with self._news:
            self.inside -= 1

    def wait_for_guests(self, count: int) -> None:
        """Until so many have come, or the test is over."""
        with self._news:
            self._news.wait_for(lambda: self.guests >= count or self.over.is_set())

    def expect_guests(self, count: int) -> None:
        with self._news:
            came = self._news.wait_for(lambda: self.guests >= count, PATIENCE)
        self.story.check(came, f"{count} guests at the server", f"only {self.guests} came")

    def testimony(self) -> str:
        return (f"\nThe server in Python, which {self.what}, has seen {self.guests} guests, "
                f"at most {self.most_inside} at once.")

    def stop(self) -> None:
        self.over.set()
        with self._news:
            self._news.notify_all()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self._threads[0].join()
        self._door.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


StartPythonServer = Callable[[Manners], PythonServer]


def _open_door(backlog: int = 1024) -> socket.socket:
    while True:
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("127.0.0.1", facts.free_port()))
            door.listen(backlog)
            return door
        except OSError:  # somebody was quicker
            door.close()


class ShutDoor:
    """Its backlog is full and it takes in nobody: who knocks now hears nothing at all."""

    def __init__(self, story: Story) -> None:
        self._door = _open_door(backlog=0)
        self.port: int = self._door.getsockname()[1]
        self._crowd = [socket.socket() for _ in range(4)]
        for guest in self._crowd:
            guest.setblocking(False)
            guest.connect_ex(("127.0.0.1", self.port))
        story.tell(f"opened a door at port {self.port} that lets nobody in, with a full backlog")

    def stop(self) -> None:
        for guest in self._crowd:
            guest.close()
        self._door.close()


# Good manners

def echo(visit: Visit) -> None:
    """echoes"""
    for data in visit.chunks():
        visit.say(data)


def in_pieces(visit: Visit) -> None:
    """echoes byte by byte"""
    for data in visit.chunks():
        for byte in data:
            visit.say(bytes([byte]))


def late(visit: Visit) -> None:
    """echoes a little later"""
    for data in visit.chunks():
        time.sleep(0.05)  # being late is what this one is for
        visit.say(data)


def together(count: int) -> Manners:
    def manners(visit: Visit) -> None:
        visit.server.wait_for_guests(count)
        echo(visit)

    return _named(manners, f"answers nobody until {count} guests are there")


# Bad manners

def closes_at_once(visit: Visit) -> None:
    """closes each connection at once"""


def says_goodbye_at_once(visit: Visit) -> None:
    """says goodbye at once, and then listens"""
    visit.finish()


def short(count: int) -> Manners:
    def manners(visit: Visit) -> None:
        left = count
        for data in visit.chunks():
            visit.say(data[:left])
            left -= len(data[:left])
            if left == 0:
                return visit.finish()

    return _named(manners, f"echoes {count} bytes and then says goodbye")


def long(count: int) -> Manners:
    def manners(visit: Visit) -> None:
        done = 0
        for data in visit.chunks():
            visit.say(data)
            done += len(data)
            if done == count:
                visit.say(WRONG)

    return _named(manners, f"sends a byte more when it has echoed all the {count} bytes")


def long_after_goodbye(visit: Visit) -> None:
    """sends a byte more when the guest has said goodbye"""
    echo(visit)
    visit.say(WRONG)


def altered(offset: int) -> Manners:
    def manners(visit: Visit) -> None:
        done = 0
        for data in visit.chunks():
            wrong = bytearray(data)
            if done <= offset < done + len(data):
                wrong[offset - done] ^= 0x80
            visit.say(bytes(wrong))
            done += len(data)

    return _named(manners, f"alters the byte at offset {offset}")


def crossed() -> Manners:
    said: list[bytes] = []
    lock = threading.Lock()

    def manners(visit: Visit) -> None:
        data = visit.socket.recv(CHUNK)
        with lock:
            said.append(data)
        visit.say(said[0][:len(data)])
        echo(visit)

    return _named(manners, "tells every guest what the first one has said")


def resets(offset: int) -> Manners:
    def manners(visit: Visit) -> None:
        left = offset
        for data in visit.chunks():
            visit.say(data[:left])
            left -= len(data[:left])
            if left == 0:
                return visit.reset()

    return _named(manners, f"resets the connection after {offset} bytes")


def speaks_first(visit: Visit) -> None:
    """speaks before the guest has said anything"""
    visit.say(WRONG + b"Welcome!")
    echo(visit)


# No manners: a client must lose its patience

def silent(visit: Visit) -> None:
    """reads everything and never answers"""
    for _ in visit.chunks():
        pass
    visit.hold()


def never_reads(visit: Visit) -> None:
    """takes guests in and never reads"""
    visit.hold()


def never_closes(visit: Visit) -> None:
    """echoes everything and never says goodbye"""
    echo(visit)
    visit.hold()


def to_the_first(bad: Manners) -> Manners:
    def manners(visit: Visit) -> None:
        (bad if visit.number == 0 else echo)(visit)

    return _named(manners, f"{bad.__doc__}, but only for the first guest: it echoes to the rest")


def _named(manners: Manners, what: str) -> Manners:
    manners.__doc__ = what
    return manners
