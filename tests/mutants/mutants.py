#!/usr/bin/env python3
"""Does the suite notice? Changes one thing in a copy of a chapter, runs that chapter's tests, and
lists the changes that no test has noticed.

    tests/mutants/mutants.py                      84 mutants of all chapters, half an hour
    tests/mutants/mutants.py --count 200
    tests/mutants/mutants.py --only 04-epoll      those whose name has this in it (a pattern)
    tests/mutants/mutants.py --list               only say what would be changed
    tests/mutants/mutants.py --chapters ../old    the chapters of another tree, under these tests

A mutant counts when it compiles, without a warning more, to other code. It is found when a test
fails on it, fails again alone, and then passes alone on the unchanged copy; a test that runs ten
times as long as it should, and a minute at least, has failed. Nothing here touches the tree it is
started from: everything happens in a temporary copy.
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
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Iterator, Optional

from changes import CHAPTERS, Change, choose

HERE = Path(__file__).resolve().parent
BUILT = re.compile(r"\.git|\.build|build(-\w+)?|__pycache__|\.pytest_cache")
# They look at the text of a chapter, or build it in ways of their own, and would find anything.
OF_TEXT = ("pages or repository or makefile or museum or bench or walls_of_code or explain "
           "or mutants or planted")
LEAST_SECONDS = 60


@dataclass
class Run:
    """What one run of pytest has told: seconds of each test that passed, and who failed."""

    seconds: Counter[str] = field(default_factory=Counter)
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    hung: str = ""
    output: str = ""


def copy(tree: Path, to: Path) -> None:
    """Without what was built, so that every program of the copy is the copy's own."""
    def built(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if BUILT.fullmatch(name) or
                name in ("server", "client") and not (Path(directory) / name).is_dir()]
    shutil.copytree(tree, to, symlinks=True, ignore=built)


def environment(**more: str) -> dict[str, str]:
    foreign = re.compile(r"GIT_|MAKE|MFLAGS|CDPATH|PYTEST|CFLAGS|LDFLAGS|CC$|SAN|SHIM|THOROUGH")
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    return {**kept, "JOBS": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def processes_of(scratch: Path) -> Iterator[int]:
    """Whatever was started by a run, whoever its parent is by now: it has inherited a variable."""
    mark = f"MUTANTS={scratch}/\0".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (directory / "environ").read_bytes():
                yield int(directory.name)
        except OSError:
            pass


def end_processes(scratch: Path) -> None:
    while left := list(processes_of(scratch)):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)


class Suite:
    """The tests of a tree, in a copy whose chapters may be changed."""

    def __init__(self, tests: Path, chapters: Path, scratch: Path) -> None:
        self.copy, self.scratch = scratch / "tree", scratch
        copy(tests, self.copy)
        if chapters != tests:
            for chapter in CHAPTERS:
                shutil.rmtree(self.copy / chapter)
                copy(chapters / chapter, self.copy / chapter)

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        path = self.copy / change.file
        unchanged = path.read_text(encoding="utf-8")
        change.apply(self.copy)
        try:
            yield
        finally:
            path.write_text(unchanged, encoding="utf-8")

    def run(self, *arguments: str, order: Optional[list[str]] = None,
            usual: Counter[str] = Counter()) -> Run:
        log, names = self.scratch / "log", self.scratch / "order"
        log.write_text("")
        more = {"MUTANTS_LOG": str(log), "MUTANTS": f"{self.scratch}/", "PYTHONPATH": str(HERE)}
        if order is not None:
            names.write_text("\n".join(order))
            more["MUTANTS_ORDER"] = str(names)
        command = [sys.executable, "-m", "pytest", "tests/", f"--rootdir={self.copy}", "-q",
                   "-p", "order", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
        with open(self.scratch / "output", "w+b") as output:
            process = subprocess.Popen(command, cwd=self.copy, env=environment(**more),
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       start_new_session=True)
            try:
                hung = self._wait(process, log, usual)
            finally:
                end_processes(self.scratch)
                process.wait()
        told = Run(hung=hung, output=(self.scratch / "output").read_text(errors="replace"))
        for line in map(json.loads, log.read_text().splitlines()):
            if "outcome" in line:
                told.seconds[line["test"]] += line["seconds"]
                if line["outcome"] == "failed":
                    told.failed.append(line["test"])
                elif line["outcome"] == "passed" and line["test"] not in told.passed:
                    told.passed.append(line["test"])
        told.failed += [hung] if hung else []
        return told

    @staticmethod
    def _wait(process: "subprocess.Popen[bytes]", log: Path, usual: Counter[str]) -> str:
        """Returns the test that hangs, or nothing at the end of the run."""
        size, since = 0, time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            if log.stat().st_size != size:
                size, since = log.stat().st_size, time.monotonic()
            elif time.monotonic() - since > LEAST_SECONDS:
                last = json.loads(log.read_text().splitlines()[-1])["test"] if size else "collection"
                if time.monotonic() - since > 10 * usual[last]:
                    return str(last)
        return ""


def builds(tree: Path, chapter: str, scratch: Path) -> Optional[bytes]:
    """The machine code of a chapter's programs, or None: it does not compile, or with a warning."""
    code = b""
    for compiler in ("gcc", "clang"):
        if not shutil.which(compiler):
            continue
        build = scratch / "build"
        shutil.rmtree(build, ignore_errors=True)
        copy(tree / chapter, build)
        made = subprocess.run(["make", "-s", f"CC={compiler}", "CFLAGS=-O2 -Werror"], cwd=build,
                              env=environment(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if made.returncode != 0:
            return None
        code += (build / "server").read_bytes() + (build / "client").read_bytes()
    return code


class Knowledge:
    """What all workers share: the tests of each chapter, and which of them find most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.usual: dict[str, Counter[str]] = {}  # a chapter's tests that pass; their seconds
        self.code: dict[str, Optional[bytes]] = {}  # of the unchanged programs
        self.finders: Counter[str] = Counter()
        self.flaky: Counter[str] = Counter()
        self.red: list[str] = []

    def unchanged(self, chapter: str, suite: Suite) -> Optional[bytes]:
        with self.lock:
            if chapter not in self.code:
                self.code[chapter] = builds(suite.copy, chapter, suite.scratch)
            assert self.code[chapter] is not None, f"{chapter} does not build without a warning"
            return self.code[chapter]

    def learn(self, chapter: str, suite: Suite) -> None:
        """Once for each chapter, as it is."""
        with self.lock:
            if chapter in self.usual:
                return
            runtime = " or test_runtime" if chapter == CHAPTERS[4] else ""
            told = suite.run("-k", f"({chapter}{runtime}) and not ({OF_TEXT})")
            failed = sorted(set(told.failed))
            self.red += failed
            self.usual[chapter] = Counter({name: told.seconds[name] for name in told.passed
                                           if name not in failed})
        print(f"# {chapter} unchanged: {len(self.usual[chapter])} tests pass in "
              f"{sum(told.seconds.values()):.0f} s, {len(failed)} fail", *failed, sep="\n#   ",
              flush=True)
        assert self.usual[chapter], told.output

    def order(self, chapter: str) -> list[str]:
        """Quick tests first, and those that have found something before."""
        usual = self.usual[chapter]
        return sorted(usual, key=lambda name: usual[name] / (1 + 10 * self.finders[name]))


def is_worth_it(change: Change, suite: Suite, known: Knowledge) -> bool:
    unchanged = known.unchanged(change.chapter, suite)
    with suite.changed(change):
        return builds(suite.copy, change.chapter, suite.scratch) not in (None, unchanged)


def finder(change: Change, suite: Suite, known: Knowledge) -> tuple[str, bool]:
    """The test that notices, and whether it does so by never coming to an end."""
    known.learn(change.chapter, suite)
    order, usual = known.order(change.chapter), known.usual[change.chapter]
    while order:
        with suite.changed(change):
            told = suite.run("-x", order=order, usual=usual)
            if not told.failed:
                assert told.passed, told.output
                break
            name = told.failed[0]
            again = suite.run(order=[name], usual=usual)
        if again.failed and not suite.run(order=[name], usual=usual).failed:
            known.finders[name] += 1
            return name, bool(again.hung)
        known.flaky[name] += 1
        order = [other for other in order if other != name and other not in told.passed]
    return "", False


class Hunt:
    """Takes the changes in their order until so many of them were worth it."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.options, self.scratch, self.known = options, scratch, Knowledge()
        self.changes = choose((options.chapters or options.tests).resolve(), options.seed)
        self.lock = threading.Lock()
        self.worth = self.checking = 0
        self.results: list[dict[str, object]] = []
        self.trouble: list[BaseException] = []
        self.done: dict[str, dict[str, object]] = {}
        if options.save and options.save.exists():
            saved = json.loads(options.save.read_text())["results"]
            self.done = {f"{result['file']}:{result['line']}:{result['now']}": result
                         for result in saved}

    def next_change(self) -> Optional[Change]:
        while not self.trouble:
            with self.lock:
                if self.worth == self.options.count:
                    return None
                if self.worth + self.checking < self.options.count:
                    for change in self.changes:
                        if re.search(self.options.only, change.name):
                            self.checking += 1
                            return change
                    return None
            time.sleep(0.2)
        return None

    def work(self, suite: Suite) -> None:
        try:
            while change := self.next_change():
                self.one(change, suite)
        except BaseException as trouble:
            self.trouble.append(trouble)

    def one(self, change: Change, suite: Suite) -> None:
        done = self.done.get(f"{change.file}:{change.line}:{change.now}")
        worth = done is not None or is_worth_it(change, suite, self.known)
        with self.lock:
            self.checking -= 1
            self.worth += worth
        if not worth:
            return
        started = time.monotonic()
        by, hung = ("", False) if self.options.list or done else finder(change, suite, self.known)
        found = {**asdict(change), "found_by": by, "hung": hung,
                 "seconds": round(time.monotonic() - started, 1)}
        with self.lock:
            self.results.append(done or found)
            self.tell(change, str((done or found)["found_by"]))

    def tell(self, change: Change, by: str) -> None:
        outcome = "" if self.options.list else f"{'found' if by else 'SURVIVED'}  "
        print(f"{len(self.results):3}  {outcome}{change.name}{'  ' + by if by else ''}", flush=True)
        if self.options.save and not self.options.list:
            self.options.save.write_text(json.dumps(
                {"results": self.results, "red": self.known.red, "flaky": self.known.flaky},
                indent=1))

    def run(self) -> None:
        tests = self.options.tests.resolve()
        chapters = (self.options.chapters or tests).resolve()
        suites = [Suite(tests, chapters, self.scratch / str(number))
                  for number in range(self.options.jobs)]
        threads = [threading.Thread(target=self.work, args=(suite,), daemon=True)
                   for suite in suites]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)
        finally:
            self.trouble.append(SystemExit())
            for suite in suites:
                end_processes(suite.scratch)
        if len(self.trouble) > 1:
            raise self.trouble[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=84)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="PATTERN")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time; they mostly wait")
    parser.add_argument("--save", type=Path, metavar="FILE",
                        help="the results as JSON; what is in it already is not done again")
    parser.add_argument("--tests", type=Path, default=HERE.parents[1], metavar="TREE")
    parser.add_argument("--chapters", type=Path, metavar="TREE", help="if not those of --tests")
    options = parser.parse_args()
    os.nice(10)
    Path("/proc/self/oom_score_adj").write_text("1000")  # a mutant that takes all memory ends first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        hunt = Hunt(options, Path(scratch))
        hunt.run()
    survivors = [result for result in hunt.results if not result["found_by"]]
    if not options.list:
        print(f"{len(hunt.results)} mutants, {len(hunt.results) - len(survivors)} found, "
              f"{len(survivors)} survived")
    return 0


if __name__ == "__main__":
    sys.exit(main())
