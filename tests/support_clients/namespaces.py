"""A network or a file system of one's own, where the kernel lends one."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

import pytest


def unshare(kind: str) -> list[str]:
    """What to type before a command that shall have its own "--net" or "--mount"."""
    words, trouble = _try(kind)
    if trouble:
        pytest.skip(f"unshare {kind} is not possible here: {trouble}")
    return words


PROBES = {"--net": ["true"], "--mount": ["mount", "--bind", "/etc/hosts", "/etc/hosts"]}


@lru_cache(maxsize=None)
def _try(kind: str) -> tuple[list[str], str]:
    program = shutil.which("unshare")
    if not program:
        return [], "it is missing"
    trouble = ""
    for words in ([program, kind], [program, "--map-root-user", kind]):
        tried = subprocess.run([*words, *PROBES[kind]], stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if tried.returncode == 0:
            return words, ""
        trouble = tried.stderr.strip()
    return [], trouble
