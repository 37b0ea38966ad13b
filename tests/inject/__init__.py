"""A libc whose calls fail on demand, by LD_PRELOAD: inject.c says what it can do.

    INJECT='cut=1 eintr=3' pytest tests/server tests/client     every program runs with it
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import machine
from harness.chapters import VARIANT

RULES = os.environ.get("INJECT", "")


def environment(rules: str, note: str = "") -> dict[str, str]:
    """What to add to a program's environment. In the file `note` the shim says what it did."""
    if not rules:
        return {}
    if VARIANT != "plain":
        pytest.skip("a sanitizer and inject.c both want to be the first library")
    if not machine.libc_is_glibc():
        pytest.skip("inject.c replaces calls of glibc, and here is another libc")
    machine.needs_64_bits("the rules of inject.c")
    library = machine.library(Path(__file__).with_name("inject.c"))
    return {"LD_PRELOAD": str(library), "INJECT": rules, "INJECT_NOTE": note}
