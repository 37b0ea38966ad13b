"""What a machine may lack. A test that needs it is skipped, by name."""

from __future__ import annotations

import os
import pty
import resource
import shutil
import socket
import subprocess
from functools import lru_cache

import pytest


# Long runs, for whoever has the time: THOROUGH=1 pytest tests/
THOROUGH = os.environ.get("THOROUGH", "") not in ("", "0")
thorough = pytest.mark.skipif(not THOROUGH, reason="only in the thorough run: THOROUGH=1")


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


@lru_cache(maxsize=None)
def _trouble_with_strace() -> str:
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           check=False)
    return tried.stderr.strip() if tried.returncode != 0 else ""


def needs_strace() -> None:
    needs_program("strace", "strace")
    if _trouble_with_strace():
        pytest.skip(f"strace is not possible here: {_trouble_with_strace()}")


def needs_descriptors(number: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"{number} descriptors are not possible here: ulimit -Hn is {hard}")


def needs_terminals() -> None:
    if not _has_terminals():
        pytest.skip("no pseudo-terminals here: /dev/pts is not mounted")


def needs_localhost() -> None:
    if not _knows_localhost():
        pytest.skip("nobody knows the name localhost here: /etc/hosts lacks it")


def needs_program(name: str, package: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing (Debian: {package})")
