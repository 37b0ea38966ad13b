#!/usr/bin/env python3
"""Does the suite notice? Changes one thing in a copy of a chapter, runs that chapter's tests, and
lists the changes that no test has noticed.

    tests/mutants/mutants.py                      84 mutants of all chapters, an hour
    tests/mutants/mutants.py --count 200
    tests/mutants/mutants.py --only 04-epoll      those whose name matches this pattern
    tests/mutants/mutants.py --list               only say what would be changed
    tests/mutants/mutants.py --save FILE          keep the results; go on from there another time
    tests/mutants/mutants.py --chapters TREE      the chapters of another tree, under these tests

A mutant counts when it compiles, with no more warnings, to other code. It is found when a test
fails on it, fails again alone, and then passes alone on the unchanged copy; a test that takes ten
times as long as it should, and a minute at least, has failed. All happens in a temporary copy.

survivors.txt has those that no test can find, or that none is worth; any other survivor makes the
exit status 1.
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
from dataclasses import asdict
from pathlib import Path
from typing import Iterator, Optional

from changes import CHAPTERS, Change, choose

HERE = Path(__file__).resolve().parent
# They look at the text of a chapter, or build it in ways of their own, and would find anything.
OF_TEXT = ("pages or repository or makefile or museum or bench or walls_of_code or explain "
           "or mutants or planted")
LEAST_SECONDS = 60
EXPLAINED = (HERE / "survivors.txt").read_text(encoding="utf-8").splitlines()
BUILT = re.compile(r"\.git|\.build|build(-\w+)?|__pycache__|\.pytest_cache")
FOREIGN = re.compile(r"GIT_|MAKE|MFLAGS|CDPATH|PYTEST|CFLAGS|LDFLAGS|CC$|SAN|SHIM|INJECT|THOROUGH")


def copy(tree: Path, to: Path) -> None:
    """Without what was built, so that every program of the copy is the copy's own."""
    def built(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if BUILT.fullmatch(name) or
                name in ("server", "client") and not (Path(directory) / name).is_dir()]
    shutil.copytree(tree, to, symlinks=True, ignore=built)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    return {**kept, "JOBS": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def end_processes(scratch: Path) -> None:
    """Whatever a run has started, whoever its parent is by now: it has inherited a variable."""
    mark, left = f"MUTANTS={scratch}\0".encode(), True
    while left:
        left = False
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    left = True
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                pass  # it has ended, or is not ours
        time.sleep(0.1)


def machine_code(chapter: Path, scratch: Path) -> Optional[bytes]:
    """Of a chapter's programs. None: it does not compile, or only with a warning."""
    code = b""
    for compiler in filter(shutil.which, ("gcc", "clang")):
        shutil.rmtree(scratch / "build", ignore_errors=True)
        copy(chapter, scratch / "build")
        if subprocess.run(["make", "-s", f"CC={compiler}", "CFLAGS=-O2 -Werror"],
                          cwd=scratch / "build", env=environment(), capture_output=True,
                          check=False).returncode != 0:
            return None
        code += b"".join((scratch / "build" / name).read_bytes() for name in ("server", "client"))
    return code


class Hunt:
    def __init__(self, tests: Path, chapters: Path, scratch: Path) -> None:
        self.tree, self.scratch = scratch / "tree", scratch
        self.usual: dict[str, Counter[str]] = {}  # a chapter's tests that pass; their seconds
        self.code: dict[str, Optional[bytes]] = {}  # of its unchanged programs
        self.finders: Counter[str] = Counter()
        copy(tests, self.tree)
        for chapter in CHAPTERS if chapters != tests else ():
            shutil.rmtree(self.tree / chapter)
            copy(chapters / chapter, self.tree / chapter)

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        path = self.tree / change.file
        unchanged = path.read_text(encoding="utf-8")
        change.apply(self.tree)
        try:
            yield
        finally:
            path.write_text(unchanged, encoding="utf-8")

    def run(self, chapter: str, order: Optional[list[str]] = None,
            *arguments: str) -> tuple[Counter[str], list[str]]:
        """The tests that passed, with their seconds; and those that failed, or hung."""
        log, names = self.scratch / "log", self.scratch / "order"
        log.write_text("")
        more = {"MUTANTS_LOG": str(log), "MUTANTS": str(self.scratch), "PYTHONPATH": str(HERE)}
        if order is not None:
            names.write_text("\n".join(order))
            more["MUTANTS_ORDER"] = str(names)
        command = [sys.executable, "-m", "pytest", "tests/", f"--rootdir={self.tree}", "-q",
                   "-p", "order", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
        with open(self.scratch / "output", "wb") as output:
            process = subprocess.Popen(command, cwd=self.tree, env=environment(**more),
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       start_new_session=True)
            try:
                hung = self.wait(process, log, self.usual.get(chapter, Counter()))
            finally:
                end_processes(self.scratch)
                process.wait()
        told = [json.loads(line) for line in log.read_text().splitlines()]
        failed = list(dict.fromkeys(name for name, outcome, _ in told if outcome == "failed"))
        seconds: Counter[str] = Counter()
        for name, outcome, took in told:
            if outcome == "passed" and name not in failed and name != hung:
                seconds[name] += took
        if not told:
            raise SystemExit((self.scratch / "output").read_text(errors="replace"))
        return seconds, failed + ([hung] if hung else [])

    @staticmethod
    def wait(process: "subprocess.Popen[bytes]", log: Path, usual: Counter[str]) -> str:
        """Returns the test that hangs, or nothing at the end of the run."""
        size, since = 0, time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            if log.stat().st_size != size:
                size, since = log.stat().st_size, time.monotonic()
            elif size and time.monotonic() - since > (LEAST_SECONDS if usual else 600):
                last: str = json.loads(log.read_text().splitlines()[-1])[0]
                if time.monotonic() - since > 10 * usual[last]:
                    return last
        return ""

    def is_worth_it(self, change: Change) -> bool:
        chapter = self.tree / change.chapter
        if change.chapter not in self.code:
            self.code[change.chapter] = machine_code(chapter, self.scratch)
            assert self.code[change.chapter], f"{change.chapter} does not build without a warning"
        with self.changed(change):
            return machine_code(chapter, self.scratch) not in (None, self.code[change.chapter])

    def learn(self, chapter: str) -> None:
        """Which tests pass on the chapter as it is, and how long each takes."""
        runtime = " or test_runtime" if chapter == CHAPTERS[4] else ""
        words = f"({chapter}{runtime}) and not ({OF_TEXT})"
        self.usual[chapter], failed = self.run(chapter, None, "-k", words)
        print(f"# {chapter} unchanged: {len(self.usual[chapter])} tests pass in "
              f"{sum(self.usual[chapter].values()):.0f} s, {len(failed)} fail", *failed,
              sep="\n#   ", flush=True)

    def finder(self, change: Change) -> str:
        """The test that notices, if any does."""
        if change.chapter not in self.usual:
            self.learn(change.chapter)
        usual = self.usual[change.chapter]
        # Quick ones first, and those that have found something before.
        order = sorted(usual, key=lambda name: usual[name] / (1 + 10 * self.finders[name]))
        while order:
            with self.changed(change):
                passed, failed = self.run(change.chapter, order, "-x")
                again = failed and self.run(change.chapter, failed[:1])[1]
            if not failed:
                break
            if again and not self.run(change.chapter, failed[:1])[1]:
                self.finders[failed[0]] += 1
                return failed[0]
            order = [name for name in order if name not in passed and name != failed[0]]
        return ""


def hunt(options: argparse.Namespace, scratch: Path) -> list[dict[str, object]]:
    tests = options.tests.resolve()
    hunted = Hunt(tests, (options.chapters or tests).resolve(), scratch)
    saved = json.loads(options.save.read_text()) if options.save and options.save.exists() else []
    done = {(row["file"], row["line"], row["now"]): row["found_by"] for row in saved}
    results: list[dict[str, object]] = []
    for change in choose(hunted.tree, options.seed):
        if len(results) == options.count:
            break
        known = done.get((change.file, change.line, change.now))
        if not re.search(options.only, change.name) or \
                known is None and not hunted.is_worth_it(change):
            continue
        by = known if known is not None else "" if options.list else hunted.finder(change)
        results.append({**asdict(change), "found_by": by})
        outcome = "" if options.list else "found" if by else \
            "explained" if change.name in EXPLAINED else "SURVIVED"
        print(f"{len(results):3}  {outcome:10}{change.name}  {by}", flush=True)
        if options.save:
            options.save.write_text(json.dumps(results, indent=1))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=84)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="PATTERN")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--tests", type=Path, default=HERE.parents[1], metavar="TREE")
    parser.add_argument("--chapters", type=Path, metavar="TREE")
    options = parser.parse_args()
    os.nice(10)
    Path("/proc/self/oom_score_adj").write_text("1000")  # a mutant that takes all memory ends first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        results = hunt(options, Path(scratch))
    if options.list:
        return 0
    survivors = [row for row in results if not row["found_by"]]
    names = [f"{row['file']} [{str(row['was']).strip()}] -> [{str(row['now']).strip()}]"
             for row in survivors]
    unexplained = [name for name in names if name not in EXPLAINED]
    print(f"{len(results)} mutants, {len(results) - len(survivors)} found, "
          f"{len(survivors)} survived, {len(unexplained)} of them without an explanation")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
