"""A libc whose calls fail on demand, by LD_PRELOAD: inject.c says what it can do.

    INJECT='cut=1 eintr=3' pytest tests/server tests/client     every program with it in between
"""

from __future__ import annotations

import fcntl
import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("inject.c")
BUILD = SOURCE.parents[1] / ".build"
COMMAND = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-U_FORTIFY_SOURCE", "-shared", "-fPIC"]


@lru_cache(maxsize=None)
def library() -> Path:
    """Builds it, unless that has been done."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("inject.c replaces calls of glibc, and this is another libc")
    BUILD.mkdir(exist_ok=True)
    built = BUILD / "inject.so"
    with open(SOURCE, encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # where tests run side by side, one builds
        if not built.exists() or built.stat().st_mtime < SOURCE.stat().st_mtime:
            new = built.with_suffix(".new")
            subprocess.run([os.environ.get("CC") or "cc", *COMMAND, str(SOURCE), "-ldl", "-o",
                            str(new)], check=True)
            new.rename(built)
    return built


def environment(rules: str, note: str = "") -> dict[str, str]:
    """What to add to a program's environment. In the file `note` the shim says what it did."""
    if not rules:
        return {}
    return {"LD_PRELOAD": str(library()), "INJECT": rules, "INJECT_NOTE": note}
