"""A test tells its steps. If it fails, the reader gets these steps, and no traceback."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, NoReturn

import pytest


class WallReached(pytest.fail.Exception):  # type: ignore[name-defined,misc]
    """The failure that a `wall` test expects in one chapter; no other failure counts."""


class Story:
    """The steps of one test, and how it ended."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.witnesses: list[Callable[[], str]] = []  # each has something to add to a failure
        self.happened = ""
        self.failed = False
        self._silent = False
        self._names: dict[str, int] = {}

    def tell(self, step: str) -> None:
        if not self._silent:
            self.steps.append(step)

    @contextlib.contextmanager
    def summed_up(self, step: str) -> Iterator[None]:
        """One line for the many steps inside."""
        self.tell(step)
        before, self._silent = self._silent, True
        try:
            yield
        finally:
            self._silent = before

    def outcome(self, words: str) -> None:
        """What came of a fault, for docs/faults.md, where it differs from the mark's words."""
        self.happened = words

    def name(self, kind: str) -> str:
        """client A, client B ... client Z, client 27 ..."""
        number = self._names[kind] = self._names.get(kind, 0) + 1
        return f"{kind} {chr(ord('A') + number - 1) if number <= 26 else number}"

    def check(self, condition: object, expected: str, but: str) -> None:
        if not condition:
            self.fail(expected, but)

    def fail(self, expected: str, but: str) -> NoReturn:
        raise pytest.fail.Exception(self.text(expected, but), pytrace=False) from None

    def check_wall(self, condition: object, expected: str, but: str) -> None:
        """The one check of a test that some chapter cannot pass: its wall."""
        if not condition:
            raise WallReached(self.text(expected, but), pytrace=False) from None

    def text(self, expected: str, but: str) -> str:
        self.failed = True
        steps = [f"  {number}. {step}" for number, step in enumerate(self.steps, 1)]
        lines = ["failed after these steps:", *(steps or ["  (none)"]),
                 f"expected {expected},", f"but {but}."]
        return "\n".join(lines + [witness() for witness in self.witnesses])


def describe(data: bytes) -> str:
    """Short ones as they are, long ones by their length."""
    data = bytes(data)
    return repr(data)[1:] if len(data) <= 40 else f"{len(data)} bytes"


def show_byte(byte: int) -> str:
    """0x48 'H'; 0x0a alone, as it has no character of its own."""
    return f"0x{byte:02x}" + (f" {chr(byte)!r}" if 32 <= byte < 127 else "")


def difference(wanted: Any, got: Any, offset: int) -> tuple[str, str]:
    """Where `got` first differs from `wanted`: what was expected, and what came instead.
    `offset` is the offset of their first bytes."""
    for index, (want, byte) in enumerate(zip(wanted, got)):
        if want != byte:
            around = repr(bytes(got[max(0, index - 4) : index + 20]))[1:]
            return (f"byte {offset + index} to be {show_byte(want)}",
                    f"it is {show_byte(byte)}, in {around}")
    return ("nothing but the echo",
            f"more came back than was sent: {repr(bytes(got[len(wanted) : len(wanted) + 24]))[1:]}")


def tail(text: str, lines: int = 12) -> str:
    return "\n".join("  " + line[:200] for line in text.splitlines()[-lines:]) or "  (nothing)"
