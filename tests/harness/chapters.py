"""The five chapters: what each promises, and how it is built."""

from __future__ import annotations

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

    @property
    def number(self) -> int:
        return int(self.name[:2])

    @property
    def default_end(self) -> bool:
        """At Ctrl-C: the default action of the signal."""
        return not self.clean_end

    @property
    def one_at_a_time(self) -> bool:
        return not self.at_once

    @property
    def event_loop(self) -> bool:
        """One thread for all connections, which then must not spin or sleep in one of them."""
        return self.at_once and not self.many_threads

    @property
    def thousands(self) -> bool:
        """As many connections as descriptors, and each is a small thing."""
        return self.crowd > 1000

    @property
    def level_triggered(self) -> bool:
        """Tells epoll whenever it waits for something else; 05 is told once, of every edge."""
        return self.thousands and not self.runtime

    @property
    def shares_memory(self) -> bool:
        """Between threads: 02 always, 05 with --workers."""
        return self.many_threads or self.runtime

    @property
    def is_foreign(self) -> bool:
        return self.name == FOREIGN.name

    @property
    def directory(self) -> Path:
        return REPOSITORY / self.name


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
    return built(chapter, variant) / name


def built(chapter: Chapter, variant: str = VARIANT) -> Path:
    """A copy of the chapter, in which `make` has been run."""
    if variant != VARIANT:
        needs_sanitizer(variant)
    directory, trouble = _build(chapter.directory, variant)
    if trouble:
        pytest.fail(trouble, pytrace=False)
    return directory


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
    home = building_place() / variant
    home.mkdir(parents=True, exist_ok=True)
    to = home / chapter.name
    with locked(home / f"{chapter.name}.lock"):
        mirror(chapter, to)
        return to, _make(to, VARIANTS[variant])


def _make(directory: Path, flags: str) -> str:
    """What went wrong, if anything. A Makefile, compiler or flags that have changed since the
    last time build all anew."""
    words = [os.environ.get(name, "") for name in ("CC", "CPPFLAGS", "CFLAGS", "LDFLAGS")]
    makefile = (directory / "Makefile").read_bytes()
    now = hashlib.sha1(repr((words, flags)).encode() + makefile).hexdigest()
    then = directory / ".built-with"
    anew = not then.exists() or then.read_text() != now
    command = ["make", "-s", "-j2", *(["-B"] if anew else []),
               *([f"CFLAGS={flags}"] if flags else [])]
    made = proc.run(command, cwd=directory, within=600, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        return f"{' '.join(command)} in {directory.name} failed:\n{made.stdout}"
    then.write_text(now)
    return ""


@lru_cache(maxsize=None)
def building_place() -> Path:
    """tests/.build, or, where that cannot be written, a place in /tmp that is only ours."""
    tests = REPOSITORY / "tests"
    if os.access(tests, os.W_OK):
        return tests / ".build"
    key = hashlib.sha1(str(tests).encode()).hexdigest()[:8]
    place = Path(tempfile.gettempdir(), f"chapters-{os.getuid()}-{key}")
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="chapters-"))
    return place


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Other runs of this suite may want to build the same thing at the same time."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sources(directory: Path) -> Iterator[Path]:
    """Relative paths of what belongs to it and has not been built."""
    for path in sorted(directory.rglob("*")):
        part = path.relative_to(directory)
        hidden = any(name.startswith((".built", ".build", ".pytest", "__pycache__"))
                     for name in part.parts)
        if path.is_file() and not path.is_symlink() and not hidden and not _is_built(path):
            yield part


def _is_built(path: Path) -> bool:
    with open(path, "rb") as file:
        return path.suffix in (".o", ".d") or file.read(4) == b"\x7fELF"


def mirror(directory: Path, to: Path) -> Path:
    """Makes `to` a copy of it. A file that is the same already is left alone, so that make
    builds only what has to be built."""
    wanted = set(sources(directory))
    for part in wanted:
        new, old = directory / part, to / part
        if not old.exists() or old.read_bytes() != new.read_bytes():
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new, old)
            shutil.copymode(new, old)
    for part in set(sources(to)) - wanted:
        (to / part).unlink()
    return to
