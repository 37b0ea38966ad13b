"""Guests: load.c, started and spoken to from Python."""

from __future__ import annotations

import json
import tempfile
from typing import Any, Union

import proc
from servers import BUILD, environment

LOAD = str(BUILD / "load")
AT_MOST = 9000  # guests of one process, who are as many descriptors
SPARE = 64


class WrongEcho(Exception):
    """What came back is not what was said. Such a server is not measured."""


class Crowd:
    """Guests at their tables. Use it with `with`; `guests` tells how many got in."""

    def __init__(self, port: int, guests: int, *rounds: Union[int, float, str]) -> None:
        self._words = tempfile.TemporaryFile("w+", encoding="utf-8")
        command = [LOAD, str(port), str(guests), *map(str, rounds)]
        self.process = proc.start(command, proc.LOAD_CORE, environment(), talk=True,
                                  stderr=self._words)
        try:
            seated = self._heard()
            self.guests, self.late = int(seated["guests"]), bool(seated["late"])
        except BaseException:
            self.leave()
            raise

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def speak(self) -> dict[str, Any]:
        """The rounds; returns when all have heard the last echo."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._heard()

    def leave(self) -> None:
        proc.kill_session(self.process)
        self._words.close()

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.process.wait()
        self._words.seek(0)
        raise WrongEcho(self._words.read().strip() or "load: it has ended without a word")


class SilentCrowd:
    """Guests who have said a byte and heard it, and say nothing more. It can only grow."""

    def __init__(self, port: int) -> None:
        self.port, self.guests, self.late = port, 0, False
        self._parts: list[Crowd] = []

    def __enter__(self) -> "SilentCrowd":
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            part.leave()

    def grow(self, guests: int) -> bool:
        """Returns whether there are so many now; each process brings as many as it can hold."""
        at_most = max(1, min(AT_MOST, proc.DESCRIPTORS - SPARE))
        while self.guests < guests:
            wanted = min(at_most, guests - self.guests)
            part = Crowd(self.port, wanted, "silent")
            self._parts.append(part)
            self.guests, self.late = self.guests + part.guests, part.late
            if part.guests < wanted:
                return False
        return True
