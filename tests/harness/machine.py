"""What a machine may lack. A test that needs it is skipped, with the reason."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
from errno import EADDRINUSE, EMFILE
from functools import lru_cache
from pathlib import Path

import pytest

from . import proc
from .chapters import COMPILER, building_place, locked, private_place

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


@lru_cache(maxsize=None)
def _of_libc(word: str) -> str:
    """What a word of <sys/socket.h> means to the libc of the programs; the word if nothing."""
    line = 'printf "#include <sys/socket.h>\\n%s\\n" "$0" | "$@" -E -P -xc -'
    said = proc.run(["sh", "-c", line, word, *COMPILER], within=60).stdout
    return (said.split() or [word])[-1]


def libc_is_glibc() -> bool:
    return _of_libc("__GLIBC__") != "__GLIBC__"


def needs_64_bits(what: str) -> None:
    if _of_libc("__SIZEOF_LONG__") == "4":
        pytest.skip(f"{what} count in 64 bits, and {' '.join(COMPILER)} builds for 32")


def needs_backlog(number: int) -> None:
    most = _of_libc("SOMAXCONN")
    if most.isdigit() and int(most) < number:
        pytest.skip(f"this libc has a backlog of {most} (SOMAXCONN), and {number} are to wait")


def error_words(error: int) -> str:
    """musl has its own."""
    musl = {EMFILE: "No file descriptors available", EADDRINUSE: "Address in use"}
    return os.strerror(error) if libc_is_glibc() else musl[error]


def library(source: Path) -> Path:
    """A small C file as a library for LD_PRELOAD, built once, for what this compiler builds."""
    needs_program(COMPILER[0], "gcc")
    place = building_place()
    if re.search(r"[\s:]", str(place)):  # which LD_PRELOAD takes for the end of a name
        place = private_place()
    home = place / "libraries" / re.sub(r"\W+", "-", " ".join(COMPILER))
    home.mkdir(parents=True, exist_ok=True)
    made = home / f"{source.stem}.so"
    with locked(home / "lock"):
        if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
            built = proc.run([*COMPILER, "-shared", "-fPIC", "-O1", "-o", str(made),
                              str(source), "-ldl"], within=60)
            if built.returncode != 0:
                pytest.fail(f"{source.name} cannot be built:\n{built.stderr}", pytrace=False)
    return made
