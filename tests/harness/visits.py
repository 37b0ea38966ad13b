"""The three ways in which a client talks to a server, and the servers that do something wrong.

A script serves one connection of a Peer (peer.py); its docstring says what it does.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest

from .chapters import Chapter
from .peer import ClientProgram, Conversation, Script, echo, hold

WRONG = b"\xff"  # no message of the tests contains it


@dataclass(frozen=True)
class Mode:
    name: str
    arguments: tuple[str, ...]
    stdin: bytes
    length: int  # bytes that one connection sends in all
    middle: int  # an offset inside them

    def start(self, start_client: Any, *more: object, **options: Any) -> ClientProgram:
        return start_client(*more, *self.arguments, **{"stdin": self.stdin, **options})


_SLOWLY = "cut=" in os.environ.get("INJECT", "")  # byte by byte
_MESSAGE = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=60_000))
_FILE = random.Random(2).randbytes(20_000 if _SLOWLY else 1_000_000).replace(WRONG, b"\x00")
GUESTS, ROUNDS = 3, 2
_CROWD = ROUNDS * len("guest 1, round 1: Hello, Tokio!")

MESSAGE = Mode("message", (_MESSAGE,), b"", len(_MESSAGE), 45_678)
CONVERSATION = Mode("conversation", ("-",), _FILE, len(_FILE), len(_FILE) * 2 // 3)
CROWD = Mode("crowd", ("--guests", str(GUESTS), "--rounds", str(ROUNDS)), b"", _CROWD,
             _CROWD * 2 // 3)
MODES = (MESSAGE, CONVERSATION, CROWD)


def modes_of(chapter: Chapter) -> tuple[Mode, ...]:
    """A foreign client is used as `nc` is."""
    return (CONVERSATION,) if chapter.is_foreign else MODES


def _in_modes(*modes: Mode) -> Any:
    ours = pytest.mark.ours_only("the other two ways of its client")
    return pytest.mark.parametrize("mode", [
        pytest.param(mode, id=mode.name, marks=() if mode is CONVERSATION else ours)
        for mode in modes])


in_every_mode = _in_modes(*MODES)
in_modes_that_compare = _in_modes(MESSAGE, CROWD)


# ---- servers -------------------------------------------------------------------------------

def named(what: str) -> Callable[[Script], Script]:
    def name(script: Script) -> Script:
        script.__doc__ = what
        return script

    return name


def in_pieces(conversation: Conversation) -> None:
    """echoes late, and byte by byte"""
    for number, data in enumerate(conversation.chunks()):
        time.sleep(0.05 if number < 3 else 0)  # to be late is what it is for
        for byte in data:
            conversation.send(bytes([byte]))


def closes_at_once(conversation: Conversation) -> None:
    """closes each connection at once"""


def after(count: int, act: Script, what: str) -> Script:
    @named(f"{what} after {count} bytes of echo")
    def script(conversation: Conversation) -> None:
        left = count
        if left == 0:
            act(conversation)
        for data in conversation.chunks():
            conversation.send(data[:left])
            if 0 < left <= len(data):
                act(conversation)
            conversation.send(data[left:])
            left = max(0, left - len(data))

    return script


def ends(count: int) -> Script:
    return after(count, Conversation.finish, "ends its side")


def resets(count: int) -> Script:
    return after(count, Conversation.reset, "resets the connection")


def adds(count: int) -> Script:
    return after(count, lambda conversation: conversation.send(WRONG), "sends a byte more")


def adds_at_the_end(conversation: Conversation) -> None:
    """sends a byte more when the client has ended its side"""
    echo(conversation)
    conversation.send(WRONG)


def alters(offset: int) -> Script:
    @named(f"alters the byte at offset {offset}")
    def script(conversation: Conversation) -> None:
        done = 0
        for data in conversation.chunks():
            wrong = bytearray(data)
            if done <= offset < done + len(data):
                wrong[offset - done] ^= 0x80
            conversation.send(bytes(wrong))
            done += len(data)

    return script


def silent(conversation: Conversation) -> None:
    """reads everything and never answers"""
    for _ in conversation.chunks():
        pass
    hold(conversation)


def never_closes(conversation: Conversation) -> None:
    """echoes everything, and never ends its side"""
    echo(conversation)
    hold(conversation)


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
