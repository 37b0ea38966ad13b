"""These tests, run on some server or client in a pytest of their own: for tests of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    command: str
    counts: Counter[str]  # passed, failed, error
    output: str

    @property
    def failure(self) -> str:
        """What the reader is told."""
        found = re.search(r"^(After these steps:.*?)\n(?==+ short test summary|_{5})",
                          self.output, re.MULTILINE | re.DOTALL)
        return found[1] if found else "(no story)\n" + self.output


def run_tests(kind: str, command: str, selection: str,
              files: Sequence[Path] = (TESTS,), patience: str = "15") -> Outcome:
    """Runs these very tests on a server or a client, in a pytest of their own. No sanitizer
    of ours is in it, and nothing that takes long."""
    plain = {name: value for name, value in os.environ.items() if name not in ("SAN", "THOROUGH")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, files), "-q", "-p", "no:cacheprovider",
         f"--{kind}", command, "--promise", "clean_goodbye", "-k", selection],
        env={**plain, "TEST_PATIENCE": patience, "COLUMNS": "80"}, cwd=TESTS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    counts: Counter[str] = Counter()
    lines = done.stdout.splitlines() or [""]
    for count, outcome in re.findall(r"(\d+) (passed|failed|errors?)", lines[-1]):
        counts[outcome.rstrip("s")] += int(count)
    return Outcome(f"pytest --{kind} '{command}' -k '{selection}'", counts, done.stdout)
