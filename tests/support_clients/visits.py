"""The three ways in which a client visits a server, each with enough to say."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from support import shims
from support.chapters import Chapter
from support.story import Story
from support_clients.clients import Client

GUESTS, ROUNDS = 3, 2


@dataclass(frozen=True)
class Visiting:
    name: str
    arguments: tuple[str, ...]
    stdin: bytes
    length: int  # bytes that one guest says in all
    middle: int  # an offset in the midst of them
    guests: int = 1

    def start(self, chapter: Chapter, story: Story, port: int) -> Client:
        return Client(chapter, story, "--port", str(port), *self.arguments, stdin=self.stdin)

    @property
    def is_crowd(self) -> bool:
        return self.guests > 1


_MESSAGE = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=60_000))
_FILE = random.Random(2).randbytes(20_000 if shims.trickles() else 1_000_000)
_FILE = _FILE.replace(b"\xff", b"\x00")
_CROWD = sum(len(f"guest 1, round {n}: Hello, Tokio!") for n in range(1, ROUNDS + 1))

MESSAGE = Visiting("message", (_MESSAGE,), b"", len(_MESSAGE), 45_678)
CONVERSATION = Visiting("conversation", ("-",), _FILE, len(_FILE),
                        13_579 if shims.trickles() else 654_321)
CROWD = Visiting("crowd", ("--guests", str(GUESTS), "--rounds", str(ROUNDS)), b"", _CROWD,
                 _CROWD * 2 // 3, GUESTS)

VISITS = (MESSAGE, CONVERSATION, CROWD)

_ours = pytest.mark.ours_only("the other two ways of its client")

in_every_way = pytest.mark.parametrize("visiting", [
    pytest.param(visiting, id=visiting.name, marks=() if visiting is CONVERSATION else _ours)
    for visiting in VISITS])
