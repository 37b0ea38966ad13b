"""Copies of the repository, and make in them: nothing here touches what the reader has built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Mapping

from support.chapters import REPOSITORY

# What the surroundings of these tests may have set, and a reader's have not.
UNSET = ("SAN", "CC", "CFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


@lru_cache(maxsize=None)
def committed() -> tuple[str, ...]:
    """The files of the repository: those git knows, or, without git, those nobody has built."""
    if (REPOSITORY / ".git").exists() and shutil.which("git"):
        known = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=False, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if known.returncode == 0 and known.stdout:
            return tuple(name for name in known.stdout.split("\0")
                         if name and (REPOSITORY / name).is_file())
    return tuple(sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.rglob("*")
                        if path.is_file() and not path.is_symlink() and not _is_built(path)))


def _is_built(path: Path) -> bool:
    parts = path.relative_to(REPOSITORY).parts
    directories = re.compile(r"build(-\w+)?|__pycache__|\.(git|pytest_cache|venv|mypy_cache)")
    programs = re.compile(r"(server|client)(-address|-thread)?")
    return any(map(directories.fullmatch, parts)) or bool(programs.fullmatch(parts[-1]))


def copy(under: Iterable[str], to: Path) -> Path:
    """Copies what is committed at or below these names, and keeps the times."""
    for name in committed():
        if any(name == place or name.startswith(f"{place}/") for place in under):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, to / name)
    return to


def surroundings(more: Mapping[str, str] = {}) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**plain, **more}


def make(directory: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """stderr is part of stdout, as on a screen. Keywords: variables of its surroundings."""
    return subprocess.run(["make", *arguments], cwd=directory, env=surroundings(more), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
