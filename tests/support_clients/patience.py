"""Ten seconds without progress: then a client gives up, unless it waits for its keyboard.

Ten seconds for each case would be minutes. So all of them wait at the same time, in one room,
and test_client_patience.py asks each how it fared.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Iterable, Optional, Union

import pytest

from support.chapters import Chapter
from support.servers import build
from support.story import Story
from support_clients.clients import Client
from support_clients.visits import CONVERSATION, VISITS, Visiting
from support_clients.wrong_servers import (Manners, PythonServer, ShutDoor, echo, never_closes,
                                           never_reads, silent, to_the_first)

PATIENCE_OF_CLIENTS = 10  # seconds, as in sockets.h of every chapter

MANNERS: dict[str, Optional[Manners]] = {
    "silent": silent,
    "never-reads": never_reads,
    "never-closes": never_closes,
    "shut-door": None,
}

PAUSED_ECHO = random.Random(11).randbytes(2 * 1024 * 1024)

AnyServer = Union[PythonServer, ShutDoor]


@dataclass
class Waiting:
    """One client in the room."""

    story: Story
    server: AnyServer
    client: Client
    seconds: float = 0  # that it took to end; never less than the truth

    def __post_init__(self) -> None:
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        self.client.process.wait()
        self.seconds = time.monotonic() - self.client.started_at

    def stop(self) -> None:
        self.client.stop()
        self.server.stop()
        self.watcher.join()


class WaitingRoom:
    def __init__(self, items: Iterable[pytest.Item]) -> None:
        self._waiting: dict[tuple[str, ...], Waiting] = {}
        self.filled_at = time.monotonic()
        wanted = {item.callspec.params["chapter"] for item in items
                  if isinstance(item, pytest.Function)}
        for chapter in sorted(wanted, key=lambda chapter: chapter.name):
            if chapter.is_foreign or not build(chapter):
                self._fill(chapter)
                self.filled_at = time.monotonic()

    def _fill(self, chapter: Chapter) -> None:
        for name, manners in MANNERS.items():
            for visiting in (CONVERSATION,) if chapter.is_foreign else VISITS:
                self._waiting[chapter.name, name, visiting.name] = self._impatient(
                    chapter, manners, visiting)
        self._waiting[chapter.name, "idle-keyboard"] = self._idle_keyboard(chapter)
        self._waiting[chapter.name, "paused-reader"] = self._paused_reader(chapter)

    def find(self, chapter: Chapter, *key: str) -> Waiting:
        if (chapter.name, *key) not in self._waiting:
            pytest.fail(build(chapter) or f"nobody waits for {key}", pytrace=False)
        return self._waiting[(chapter.name, *key)]

    def wait_longer_than_a_client(self) -> None:
        """Until each of them must have given up, if it is going to."""
        time.sleep(max(0, self.filled_at + PATIENCE_OF_CLIENTS + 1.5 - time.monotonic()))

    def close(self) -> None:
        for waiting in self._waiting.values():
            waiting.stop()

    def _impatient(self, chapter: Chapter, manners: Optional[Manners],
                   visiting: Visiting) -> Waiting:
        story = Story()
        # One guest after the other would be ten seconds after ten seconds.
        server = PythonServer(story, to_the_first(manners)) if manners else ShutDoor(story)
        return Waiting(story, server, visiting.start(chapter, story, server.port))

    def _idle_keyboard(self, chapter: Chapter) -> Waiting:
        story = Story()
        server = PythonServer(story, echo)
        client = Client(chapter, story, "--port", str(server.port), "-",
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        client.type(b"I shall be back\n")
        return Waiting(story, server, client)

    def _paused_reader(self, chapter: Chapter) -> Waiting:
        story = Story()
        server = PythonServer(story, echo)
        client = Client(chapter, story, "--port", str(server.port), "-", stdin=PAUSED_ECHO,
                        stdout=subprocess.PIPE)
        return Waiting(story, server, client)
