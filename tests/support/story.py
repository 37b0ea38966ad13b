"""A test tells a story. When it ends badly, the reader gets the story and no traceback."""

from __future__ import annotations

import contextlib
from typing import Iterator, NoReturn, Protocol

import pytest


class WallReached(pytest.fail.Exception):  # type: ignore[name-defined,misc]
    """The failure that a `wall` test expects: nothing else counts as the wall."""


class Witness(Protocol):
    """Somebody who knows more than the steps: a server and its last words."""

    def testimony(self) -> str:
        ...


class Story:
    """The steps of one test, numbered, and how it ended."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.witnesses: list[Witness] = []
        self.happened = ""
        self._hushed = False
        self._guests = 0

    def tell(self, step: str) -> None:
        if not self._hushed:
            self.steps.append(step)

    @contextlib.contextmanager
    def summed_up(self, step: str) -> Iterator[None]:
        """One line for the many steps inside."""
        self.tell(step)
        before, self._hushed = self._hushed, True
        try:
            yield
        finally:
            self._hushed = before

    def outcome(self, words: str) -> None:
        """What came of it, for the fault matrix (docs/faults.md); "served" needs no words."""
        self.happened = words

    def next_guest(self) -> str:
        """guest A, guest B ... guest Z, guest 27 ..."""
        self._guests += 1
        n = self._guests
        return f"guest {chr(ord('A') + n - 1)}" if n <= 26 else f"guest {n}"

    def check(self, condition: bool, expected: str, but: str) -> None:
        if not condition:
            self.fail(expected, but)

    def fail(self, expected: str, but: str) -> NoReturn:
        raise pytest.fail.Exception(self._text(expected, but), pytrace=False) from None

    def check_wall(self, condition: bool, expected: str, but: str) -> None:
        """The one check of a test that some chapter cannot pass: its wall."""
        if not condition:
            raise WallReached(self._text(expected, but), pytrace=False) from None

    def _text(self, expected: str, but: str) -> str:
        steps = [f"  {n}. {step}" for n, step in enumerate(self.steps, 1)] or ["  (none)"]
        lines = ["After these steps:", *steps, f"expected {expected},", f"but {but}."]
        return "\n".join(lines + [witness.testimony() for witness in self.witnesses])
