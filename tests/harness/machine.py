"""What a machine may lack. A test that needs it is skipped, with the reason."""

from __future__ import annotations

import os
import resource
import shutil
import socket
from pathlib import Path

import pytest

from . import proc
from .chapters import building_place, locked

THOROUGH = os.environ.get("THOROUGH", "0") not in ("", "0")


def needs_program(name: str, package: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing (Debian: {package})")


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")


def needs_strace() -> None:
    needs_program("strace", "strace")
    tried = proc.run(["strace", "-o", os.devnull, "true"])
    if tried.returncode != 0:
        pytest.skip(f"strace is not possible here: {tried.stderr.strip()}")


def needs_descriptors(number: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"{number} descriptors are not possible here: ulimit -Hn is {hard}")


def needs_address(host: str) -> None:
    """A name or an address on which one can listen here."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        socket.create_server(found[4][:2], family=found[0]).close()
    except OSError as error:
        pytest.skip(f"nobody can listen on {host} here: {error}")


def library(source: Path) -> Path:
    """A small C file as a library for LD_PRELOAD, built once."""
    needs_program("cc", "gcc")
    home = building_place() / "libraries"
    home.mkdir(parents=True, exist_ok=True)
    made = home / f"{source.stem}.so"
    with locked(home / "lock"):
        if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
            built = proc.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source),
                              "-ldl"], within=60)
            if built.returncode != 0:
                pytest.fail(f"{source.name} cannot be built:\n{built.stderr}", pytrace=False)
    return made
