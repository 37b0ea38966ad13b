"""What a machine may lack. A test that needs it is skipped, by name."""

from __future__ import annotations

import os
import pty
import shutil
import socket
from functools import lru_cache

import pytest


@lru_cache(maxsize=None)
def _has_terminals() -> bool:
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError:
        return False
    return True


@lru_cache(maxsize=None)
def _knows_localhost() -> bool:
    try:
        return bool(socket.getaddrinfo("localhost", 80))
    except OSError:
        return False


def needs_terminals() -> None:
    if not _has_terminals():
        pytest.skip("no pseudo-terminals here: /dev/pts is not mounted")


def needs_localhost() -> None:
    if not _knows_localhost():
        pytest.skip("nobody knows the name localhost here: /etc/hosts lacks it")


def needs_program(name: str, package: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing (Debian: {package})")
