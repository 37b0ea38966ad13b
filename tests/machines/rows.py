"""The machines: what each has, and what a reader does on it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    name: str
    release: str
    packages: tuple[str, ...] = ("gcc", "python3-pytest")
    ubuntu: bool = False
    env: str = ""  # shell text that comes before each command
    suite: str = "make test"
    network: bool = False  # of the suite: else there is only the loopback
    user: str = "root"
    place: str = ""  # of the clone
    clone: tuple[str, ...] = ()  # options of git clone
    read_only: bool = False
    binds: tuple[tuple[str, str], ...] = ()  # directories from outside, read-only
    told_first: str = ""  # a line that says why the first command is not possible here
    told: str = ""  # the same for the suite
    remark: str = ""  # for the table


TOOLS = ("python3-pytest", "strace", "valgrind")
RELEASES = {"Debian 12": "bookworm", "Debian 13": "trixie", "Debian sid": "sid"}


def _release(name: str, release: str) -> list[Row]:
    """The first one has what the README asks for, and `make test` has to fetch pytest."""
    clang = "export CC=clang"
    return [
        Row(f"{name}, gcc, no pytest", release, ("gcc",), network=True),
        Row(f"{name}, gcc, strace, valgrind", release, ("gcc", *TOOLS)),
        Row(f"{name}, clang alone", release, ("clang", "python3-pytest"), env=clang),
        Row(f"{name}, clang, strace, valgrind", release, ("clang", *TOOLS), env=clang),
    ]


OTHERS = [
    Row("Ubuntu 26.04", "resolute", ubuntu=True),
    Row("Ubuntu 24.04", "noble", ubuntu=True),
    Row("Ubuntu 22.04, pytest of Debian 12", "jammy", ("gcc",), ubuntu=True,
        binds=(("pytest of bookworm", "/opt/pytest"),), env="export PYTHONPATH=/opt/pytest"),
    Row("Python 3.9 (Debian 11), pytest 7", "bullseye", ("gcc",),
        binds=(("pytest of bookworm", "/opt/pytest"),), env="export PYTHONPATH=/opt/pytest"),
    Row("Debian 11, its own pytest 6", "bullseye", told="Install it yourself"),
    Row("musl", "trixie", ("gcc", "musl-tools", "python3-pytest"), env="export CC=musl-gcc"),
    Row("32 bits (-m32)", "trixie", ("gcc", "gcc-multilib", "python3-pytest"),
        env="export CC='gcc -m32'; ulimit -s 1024",
        remark="stacks of 1 MB (ulimit -s): 1,000 of 8 MB have no room in 32 bits"),
    Row("arm64 (qemu-user), 05", "trixie",
        ("gcc", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "python3-pytest",
         "qemu-user-static"),
        env="export CC=aarch64-linux-gnu-gcc LDFLAGS=-static TEST_PATIENCE=60 "
            "EMULATOR=qemu-aarch64-static",
        suite="tests/with-pytest tests/server --promise clean_end "
              "--server 'qemu-aarch64-static ./05-async-tasks/server --port {port}'"),
    Row("a path with a space and an umlaut", "bookworm", place="/home/reader/mein Döschen/echo"),
    Row("core.autocrlf=true", "bookworm", clone=("-c", "core.autocrlf=true")),
    Row("a read-only checkout", "bookworm", read_only=True, told_first="Read-only file system"),
    Row("not root", "bookworm", ("gcc", *TOOLS), user="reader"),
    Row("no network and no pytest", "bookworm", ("gcc",), told="Install it yourself"),
]

ROWS = [row for name, release in RELEASES.items() for row in _release(name, release)] + OTHERS


def with_python(interpreter: Path) -> Row:
    """An interpreter of this machine, which is shown to a Debian 13 at the same path."""
    said = subprocess.run([str(interpreter), "-c", "import sys; print(sys.base_prefix, "
                           "'%d.%d' % sys.version_info[:2])"], stdout=subprocess.PIPE, text=True)
    prefix, version = said.stdout.split()
    pytest = "bookworm" if int(re.sub(r".*\.", "", version)) < 12 else "trixie"
    return Row(f"Python {version}", "trixie", ("gcc",),
               binds=((f"pytest of {pytest}", "/opt/pytest"), (prefix, prefix)),
               env=f"export PYTHONPATH=/opt/pytest PATH={prefix}/bin:$PATH")
