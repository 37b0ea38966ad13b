"""The three ways in which a client talks to a server, and the servers that do something wrong.

A script serves one connection of a Peer (harness/peer.py); its docstring says what it does.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest

from .peer import CHUNK, ClientProgram, Conversation, Peer, Script, echo
from .server import Server

StartClient = Callable[..., ClientProgram]
StartPeer = Callable[..., Peer]
StartServer = Callable[..., Server]

GUESTS, ROUNDS = 3, 2
FAST = 20  # the clock of those who must wait for a client's ten seconds: inject.c
TEN = 10 / FAST  # those ten seconds, to the test
WRONG = b"\xff"  # no message of the tests contains it


@dataclass(frozen=True)
class Mode:
    name: str
    arguments: tuple[str, ...]
    stdin: bytes
    length: int  # bytes that one connection sends in all
    middle: int  # an offset inside them
    connections: int = 1

    def start(self, start_client: StartClient, **options: Any) -> ClientProgram:
        return start_client(*self.arguments, stdin=self.stdin, **options)


_SLOWLY = "cut=" in os.environ.get("INJECT", "")  # byte by byte
_MESSAGE = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=60_000))
_FILE = random.Random(2).randbytes(20_000 if _SLOWLY else 1_000_000).replace(WRONG, b"\x00")
_CROWD = sum(len(f"guest 1, round {n}: Hello, Tokio!") for n in range(1, ROUNDS + 1))

MESSAGE = Mode("message", (_MESSAGE,), b"", len(_MESSAGE), 45_678)
CONVERSATION = Mode("conversation", ("-",), _FILE, len(_FILE), len(_FILE) * 2 // 3)
CROWD = Mode("crowd", ("--guests", str(GUESTS), "--rounds", str(ROUNDS)), b"", _CROWD,
             _CROWD * 2 // 3, GUESTS)
MODES = (MESSAGE, CONVERSATION, CROWD)


def _in_modes(modes: tuple[Mode, ...]) -> Any:
    """What `nc` can do is asked of foreign clients too."""
    ours = pytest.mark.ours_only("the other two ways of its client")
    return pytest.mark.parametrize("mode", [
        pytest.param(mode, id=mode.name, marks=() if mode is CONVERSATION else ours)
        for mode in modes])


in_every_mode = _in_modes(MODES)
in_modes_that_compare = _in_modes((MESSAGE, CROWD))


# ---- right, in its own way -----------------------------------------------------------------

def byte_by_byte(conversation: Conversation) -> None:
    """echoes byte by byte"""
    for data in conversation.chunks():
        for byte in data:
            conversation.send(bytes([byte]))


def late(conversation: Conversation) -> None:
    """echoes a little later"""
    for data in conversation.chunks():
        time.sleep(0.05)  # to be late is what it is for
        conversation.send(data)


def trickling(conversation: Conversation) -> None:
    """echoes a byte every second of the fast clock"""
    for data in conversation.chunks():
        for byte in data:
            time.sleep(1 / FAST)  # to be slow is what it is for
            conversation.send(bytes([byte]))


def together(count: int) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.peer.wait_for_connections(count)
        echo(conversation)

    return _named(script, f"answers nobody until {count} connections are there")


class Held:
    """A script that receives a message, and echoes it when the test says so."""

    def __init__(self) -> None:
        self.received = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, conversation: Conversation) -> None:
        """receives a message, and echoes it when it is told to"""
        data = conversation.socket.recv(CHUNK)
        self.received.release()
        while not self.go_on.wait(0.05) and not conversation.peer.over.is_set():
            pass
        conversation.send(data)
        echo(conversation)


# ---- wrong ---------------------------------------------------------------------------------

def closes_at_once(conversation: Conversation) -> None:
    """closes each connection at once"""


def ends_at_once(conversation: Conversation) -> None:
    """ends its own side at once, and then reads"""
    conversation.finish()


def short(count: int) -> Script:
    def script(conversation: Conversation) -> None:
        if _echo_part(conversation, count):
            conversation.finish()

    return _named(script, f"echoes {count} bytes, then ends its side")


def resets(count: int) -> Script:
    def script(conversation: Conversation) -> None:
        if _echo_part(conversation, count):
            conversation.reset()

    return _named(script, f"resets the connection after {count} bytes")


def _echo_part(conversation: Conversation, count: int) -> bool:
    for data in conversation.chunks():
        conversation.send(data[:count])
        count -= len(data[:count])
        if count == 0:
            return True
    return False


def long(count: int) -> Script:
    def script(conversation: Conversation) -> None:
        done = 0
        for data in conversation.chunks():
            conversation.send(data)
            done += len(data)
            if done == count:
                conversation.send(WRONG)

    return _named(script, f"sends a byte more after {count} bytes of echo")


def long_after_the_end(conversation: Conversation) -> None:
    """sends a byte more when the client has ended its side"""
    echo(conversation)
    conversation.send(WRONG)


def altered(offset: int) -> Script:
    def script(conversation: Conversation) -> None:
        done = 0
        for data in conversation.chunks():
            wrong = bytearray(data)
            if done <= offset < done + len(data):
                wrong[offset - done] ^= 0x80
            conversation.send(bytes(wrong))
            done += len(data)

    return _named(script, f"alters the byte at offset {offset}")


def crossed() -> Script:
    said: list[bytes] = []
    lock = threading.Lock()

    def script(conversation: Conversation) -> None:
        data = conversation.socket.recv(CHUNK)
        with lock:
            said.append(data)
        conversation.send(said[0][:len(data)])
        echo(conversation)

    return _named(script, "sends to everybody what the first one has sent")


def speaks_first(conversation: Conversation) -> None:
    """speaks before the client has sent anything"""
    conversation.send(WRONG + b"Welcome!")
    echo(conversation)


# ---- without progress ----------------------------------------------------------------------

def silent(conversation: Conversation) -> None:
    """reads everything and never answers"""
    for _ in conversation.chunks():
        pass
    conversation.hold()


def never_reads(conversation: Conversation) -> None:
    """accepts, and never reads"""
    conversation.hold()


def never_closes(conversation: Conversation) -> None:
    """echoes everything, and never ends its side"""
    echo(conversation)
    conversation.hold()


def first_only(wrong: Script) -> Script:
    """Where one connection after the other would wait for ten seconds."""
    def script(conversation: Conversation) -> None:
        (wrong if conversation.number == 0 else echo)(conversation)

    return _named(script, f"{wrong.__doc__}, but on the first connection only: then it echoes")


def _named(script: Script, what: str) -> Script:
    script.__doc__ = what
    return script


@contextlib.contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A listener with a full backlog: a connection to it hears nothing at all."""
    with contextlib.ExitStack() as last:
        listener = last.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            waiting = last.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
