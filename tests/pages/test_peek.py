"""peek.py, the client that the pages look through, against the server of each chapter."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import proc
from harness.server import Server
from pages.page import TOP

pytestmark = pytest.mark.ours_only("a program of this book")


def peek(server: Server, *words: str, typed: bytes = b"") -> str:
    command = [sys.executable, str(TOP / "docs" / "peek.py"), "--port", str(server.port), *words]
    process = proc.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said, _ = process.communicate(typed, timeout=30)
    assert process.returncode == 0
    return said.decode()


def test_peek_shows_what_comes_and_the_end(server: Server) -> None:
    said = peek(server, typed=b"Hello\n")
    assert r"received 6 bytes: 'Hello\n'" in said
    assert "the server ended its side" in said


def test_peek_resets_and_the_server_goes_on(server: Server) -> None:
    assert "sent 3 bytes, then a reset" in peek(server, "reset", "bye")
    server.serves_a_new_client()
