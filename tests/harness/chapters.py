"""The five chapters: what each promises, and how it is built."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Iterator

import pytest

from . import proc

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Chapter:
    name: str  # the directory, and the id of its tests
    crowd: int  # so many connections at once are promised
    at_once: bool  # a second connection is served while the first one is idle
    many_threads: bool  # a thread for each connection: there may be none left
    below_fd_setsize: bool  # descriptors from 1024 on cannot be watched
    clean_end: bool  # at Ctrl-C: echo what has come, end in order, exit 0
    runtime: bool = False  # --workers and --idle-timeout
    client: str = ""  # a foreign client: the command that starts it, with {port}

    # What follows from these, by the name that a `promise` mark uses.
    default_end = property(lambda self: not self.clean_end)  # at Ctrl-C: the signal's own
    one_at_a_time = property(lambda self: not self.at_once)
    event_loop = property(lambda self: self.at_once and not self.many_threads)
    thousands = property(lambda self: self.crowd > 1000)  # as many as there are descriptors
    level_triggered = property(lambda self: self.thousands and not self.runtime)
    shares_memory = property(lambda self: self.many_threads or self.runtime)  # between threads
    is_foreign = property(lambda self: self.name == FOREIGN.name)
    directory = property(lambda self: REPOSITORY / self.name)


#          name             crowd at_once threads fd<1024 clean_end
CHAPTERS = (
    Chapter("01-blocking",      1, False, False, False, False),
    Chapter("02-threads",    1000, True,  True,  False, False),
    Chapter("03-select",      900, True,  False, True,  True),
    Chapter("04-epoll",      2000, True,  False, False, True),
    Chapter("05-async-tasks", 2000, True, False, False, True, runtime=True),
)

# Any server given by --server is taken to promise this much.
FOREIGN = Chapter("foreign", 1000, True, False, False, False)


def foreign(promises: Iterable[str], client: str) -> Chapter:
    return replace(FOREIGN, client=client, **{promise: True for promise in promises})


# ---- building ----------------------------------------------------------------------------

VARIANTS = {
    "plain": "",
    "address": "-O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer",
    "thread": "-O1 -g -fsanitize=thread",
    "stress": "-O2 -g -DSTRESS",  # of 05: one-byte transfers, one call a turn, needless wakes
}
VARIANT = os.environ.get("SAN", "") or "plain"  # SAN=address pytest tests/
COMPILER = shlex.split(os.environ.get("CC", "")) or ["cc"]  # of programs and libraries


def program(chapter: Chapter, name: str, variant: str = VARIANT) -> Path:
    """The path of ./server or ./client of a copy of the chapter, built if need be."""
    if variant != VARIANT:
        needs_sanitizer(variant)
    directory, trouble = _build(chapter.directory, variant)
    if trouble:
        pytest.fail(trouble, pytrace=False)
    return directory / name


def needs_sanitizer(variant: str) -> None:
    if variant in ("address", "thread") and _trouble_with(variant):
        pytest.skip(f"{' '.join(COMPILER)} has no sanitizer: {_trouble_with(variant)}")


@lru_cache(maxsize=None)
def _trouble_with(variant: str) -> str:
    """The last that an empty program said, built so, or its compiler; nothing if all is well."""
    with tempfile.TemporaryDirectory() as place:
        made = proc.run(["sh", "-c", 'echo "int main(void) { return 0; }" | "$@" && ./a.out',
                         "sh", *COMPILER, *VARIANTS[variant].split(), "-xc", "-"],
                        cwd=place, within=60)
    return (made.stderr.splitlines() or ["it fails"])[-1] if made.returncode != 0 else ""


@lru_cache(maxsize=None)
def _build(chapter: Path, variant: str) -> tuple[Path, str]:
    """A copy in which `make` has been run, and what went wrong, if anything. A source, compiler
    or flag that has changed since the last time builds all anew."""
    home = building_place() / variant
    copy, key = home / chapter.name, home / f"{chapter.name}.key"
    home.mkdir(parents=True, exist_ok=True)
    flags, now = VARIANTS[variant], hashlib.sha1()
    for name in ("CC", "CPPFLAGS", "CFLAGS", "LDFLAGS"):
        now.update(f"{os.environ.get(name)} {flags}".encode())
    for path in sorted([chapter / "Makefile", *chapter.rglob("*.[ch]")]):
        now.update(path.name.encode() + path.read_bytes())
    with locked(home / f"{chapter.name}.lock"):
        if key.exists() and key.read_text() == now.hexdigest():
            return copy, ""
        key.unlink(missing_ok=True)
        made = proc.run(["make", "-s", "-j2", *([f"CFLAGS={flags}"] if flags else [])], within=600,
                        cwd=mirror(chapter, copy), stderr=subprocess.STDOUT)
        if made.returncode != 0:
            return copy, f"make {flags} in {chapter.name} failed:\n{made.stdout}"
        key.write_text(now.hexdigest())
    return copy, ""


@lru_cache(maxsize=None)
def building_place() -> Path:
    """tests/.build, or, where that cannot be written, a place in /tmp for this run."""
    if os.access(REPOSITORY / "tests", os.W_OK):
        return REPOSITORY / "tests" / ".build"
    return private_place()


@lru_cache(maxsize=None)
def private_place() -> Path:
    place = tempfile.mkdtemp(prefix="chapters-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Other runs of this suite may want to build the same thing at the same time."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def mirror(directory: Path, to: Path) -> Path:
    """Makes `to` a copy of it, without what has been built there."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(directory, to, ignore=_built))


def _built(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or _is_built(Path(directory, name))]


def _is_built(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return path.is_symlink()
    with open(path, "rb") as file:
        return path.suffix in (".o", ".d") or file.read(4) == b"\x7fELF"
