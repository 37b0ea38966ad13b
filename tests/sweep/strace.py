"""strace(1), as a listener and as a saboteur.

It counts each call by itself and in each thread by itself: "when=2" is the second of that name in
every thread. An injected error takes the place of the call: what the call would have done has not
been done.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Callable, Sequence

# -D: strace is the child, so that the program is ours to wait for, and its end its own.
STRACE = ["strace", "-D", "-f", "-qq"]

# main() begins with this; what stands before it in a trace is the loader's business.
FIRST_OF_OURS = "rt_sigaction(SIGPIPE"


@dataclass(frozen=True)
class Found:
    """How often a call was made: by the loader, and then by the program."""

    before: int
    count: int


@dataclass(frozen=True)
class Injection:
    call: str
    error: str
    when: str

    def before(self) -> list[str]:
        """What to type before the command."""
        rule = f"inject={self.call}:error={self.error}:when={self.when}"
        return [*STRACE, "-o", "/dev/null", "-e", f"trace={self.call}", "-e", rule]

    def __str__(self) -> str:
        return f"{self.call}:error={self.error}:when={self.when}"


@lru_cache(maxsize=None)
def missing() -> str:
    """Why there can be no sweep here, if so."""
    if shutil.which("strace") is None:
        return "strace is missing (Debian: strace)"
    tried = subprocess.run([*STRACE, "-o", "/dev/null", "-e", "inject=getpid:error=EPERM:when=1+2",
                            "true"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           stdin=subprocess.DEVNULL, check=False)
    return f"strace cannot do it here: {tried.stderr.strip()}" if tried.stderr else ""


def listen(run: Callable[[Sequence[str]], object]) -> dict[str, Found]:
    """The calls of a run. `run` is given what to type before the command."""
    with tempfile.NamedTemporaryFile("r", errors="replace") as trace:
        run([*STRACE, "-o", trace.name])
        loader, _, ours = trace.read().partition(FIRST_OF_OURS)
    before, after = _count(loader), _count(ours)
    return {call: Found(before[call], count) for call, count in sorted(after.items())}


def _count(trace: str) -> Counter[str]:
    return Counter(re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE))


def positions(found: Found) -> list[str]:
    """The first three, the last, and three in a row."""
    singles = {1, 2, 3, found.count} & set(range(1, found.count + 1))
    whens = [str(found.before + number) for number in sorted(singles)]
    return whens + [f"{found.before + 1}..{found.before + 3}"] * (found.count > 1)
