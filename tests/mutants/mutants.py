#!/usr/bin/env python3
"""Does the suite notice? Changes one thing in a copy of a chapter, runs that chapter's tests, and
lists the changes that no test has noticed.

    tests/mutants/mutants.py                      84 mutants of all chapters, an hour
    tests/mutants/mutants.py --count 200
    tests/mutants/mutants.py --only 04-epoll      those whose name matches this pattern
    tests/mutants/mutants.py --save FILE          keep the results; go on from there another time
    tests/mutants/mutants.py --again FILE         those that these results say were found

A mutant counts when it compiles, with no more warnings, to other code. It is found when a test
fails on it, fails again alone, and then passes alone on the unchanged copy; a test that takes more
than two minutes has failed. All happens in a temporary copy.

survivors.txt has those that no test can find, or that none is worth: they are not tried. Any other
survivor makes the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from changes import CHAPTERS, Change, choose, general

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from harness import proc  # noqa: E402
from harness.chapters import REPOSITORY, mirror  # noqa: E402

# The others look at the text of a chapter, or build it in ways of their own.
TESTS = ("server", "client", "runtime", "inject")
HANGS = 120  # seconds of one test
EXPLAINED = (HERE / "survivors.txt").read_text(encoding="utf-8").splitlines()


def programs(chapter: Path, scratch: Path) -> Optional[list[bytes]]:
    """./server and ./client. None: they do not compile, or only with a warning."""
    mirror(chapter, scratch)
    made = proc.run(["make", "-sB", "CFLAGS=-O2 -Werror"], cwd=scratch, within=600)
    if made.returncode != 0:
        return None
    return [(scratch / name).read_bytes() for name in ("server", "client")]


class Hunt:
    def __init__(self, scratch: Path) -> None:
        self.tree, self.scratch = scratch / "tree", scratch
        self.usual: dict[str, Optional[list[bytes]]] = {}  # a chapter's unchanged programs
        self.seconds: dict[str, float] = {}  # of each test, in whatever chapter
        self.finders: Counter[tuple[str, str]] = Counter()  # in such a file, or in any: that test
        shutil.copytree(REPOSITORY / "tests", self.tree / "tests",
                        ignore=shutil.ignore_patterns(".build", "__pycache__"))
        for chapter in CHAPTERS:
            mirror(REPOSITORY / chapter, self.tree / chapter)

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        path = self.tree / change.file
        unchanged = path.read_text(encoding="utf-8")
        lines = unchanged.split("\n")
        lines[change.line - 1] = change.now
        path.write_text("\n".join(lines), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(unchanged, encoding="utf-8")

    def is_worth_it(self, change: Change) -> bool:
        chapter, place = change.chapter, self.scratch / "build"
        if chapter not in self.usual:
            self.usual[chapter] = programs(self.tree / chapter, place)
            assert self.usual[chapter], f"{chapter} does not build without a warning"
        with self.changed(change):
            return programs(self.tree / chapter, place) not in (None, self.usual[chapter])

    def run(self, *arguments: str) -> list[str]:
        """The tests that failed, or hung."""
        log, failed, since, size = self.scratch / "log", [], time.monotonic(), 0
        log.write_text("")
        env = {"MUTANTS_LOG": str(log), "MUTANTS_ORDER": str(self.scratch / "order"),
               "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", f"--rootdir={self.tree}", "--behaviour", "-xq",
                   "-p", "order", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
        process = proc.start(command, env, cwd=self.tree, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and time.monotonic() - since < HANGS:
                time.sleep(0.05)
                if log.stat().st_size != size:
                    size, since = log.stat().st_size, time.monotonic()
            hangs = process.poll() is None
        finally:
            proc.end(process)
        told = [json.loads(line) for line in log.read_text().splitlines()]
        for test, outcome, seconds in told:
            if outcome == "failed":
                failed.append(test)
            elif outcome == "passed":
                self.seconds[general(test)] = seconds
        return failed + ([told[-1][0]] if told and hangs else [])

    def note(self, file: str, test: str) -> None:
        if test:
            self.finders.update([(Path(file).name, general(test)), ("", general(test))])
            self.seconds.setdefault(general(test), 1)

    def finder(self, change: Change) -> str:
        """The test that notices, if any does. First those that have found something in such a
        file before, then the quick ones."""
        kind = Path(change.file).name
        order = sorted(self.seconds, key=lambda test: self.seconds[test] / (
            1 + 20 * self.finders[kind, test] + 5 * self.finders["", test]))
        (self.scratch / "order").write_text("\n".join(order))
        tests, wrong = [f"tests/{folder}" for folder in TESTS], []
        while True:
            with self.changed(change):
                failed = self.run(*tests, "-k", change.chapter, *wrong)[:1]
                again = failed and self.run(*failed)
            if not failed:
                return ""
            if again and not self.run(*failed):
                return failed[0]
            wrong.append(f"--deselect={failed[0]}")


def read(file: Optional[Path]) -> dict[str, str]:
    results: dict[str, str] = json.loads(file.read_text()) if file and file.exists() else {}
    return results


def hunt(options: argparse.Namespace, scratch: Path) -> int:
    """Returns how many have survived without an explanation."""
    hunted, known, again = Hunt(scratch), read(options.save), read(options.again)
    for name, test in {**again, **known}.items():
        hunted.note(name.split()[0], test)
    outcomes: Counter[str] = Counter()
    for change in choose(hunted.tree):
        if sum(outcomes.values()) == options.count:
            break
        name = change.name
        if not re.search(options.only, name) or again and not again.get(name):
            continue
        if name not in known:
            if not hunted.is_worth_it(change):
                continue
            known[name] = "" if name in EXPLAINED else hunted.finder(change)
            hunted.note(change.file, known[name])
            if options.save:
                options.save.write_text(json.dumps(known, indent=1))
        outcome = "found" if known[name] else "explained" if name in EXPLAINED else "SURVIVED"
        outcomes[outcome] += 1
        print(f"{sum(outcomes.values()):3}  {outcome:10}{name}  {known[name]}", flush=True)
    print(*(f"{count} {outcome}" for outcome, count in outcomes.items()), sep=", ")
    return outcomes["SURVIVED"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=84)
    parser.add_argument("--only", default="", metavar="PATTERN")
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--again", type=Path, metavar="FILE")
    options = parser.parse_args()
    os.nice(10)
    Path("/proc/self/oom_score_adj").write_text("1000")  # a mutant that takes all memory ends first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        return 1 if hunt(options, Path(scratch)) else 0


if __name__ == "__main__":
    sys.exit(main())
