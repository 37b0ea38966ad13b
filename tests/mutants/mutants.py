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
import time
from collections import Counter
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
    mark = f"MUTANTS={scratch}\0".encode()
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

    def run(self, *arguments: str, order: Optional[list[str]] = None,
            usual: Counter[str] = Counter()) -> Run:
        log, names = self.scratch / "log", self.scratch / "order"
        log.write_text("")
        more = {"MUTANTS_LOG": str(log), "MUTANTS": str(self.scratch), "PYTHONPATH": str(HERE)}
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


class Hunt:
    def __init__(self, suite: Suite) -> None:
        self.suite, self.flaky, self.red = suite, Counter(), []
        self.usual: dict[str, Counter[str]] = {}  # a chapter's tests, and their seconds
        self.finders: Counter[str] = Counter()
        self.code: dict[str, Optional[bytes]] = {}

    def is_worth_it(self, change: Change, unchanged: str) -> bool:
        chapter, tree = change.chapter, self.suite.copy
        if chapter not in self.code:
            self.code[chapter] = builds(tree, chapter, self.suite.scratch)
            assert self.code[chapter] is not None, f"{chapter} does not build"
        change.apply(tree)
        code = builds(tree, chapter, self.suite.scratch)
        (tree / change.file).write_text(unchanged, encoding="utf-8")
        return code not in (None, self.code[chapter])

    def learn(self, chapter: str) -> None:
        """Runs the chapter as it is: who passes, and how long it takes."""
        runtime = " or test_runtime" if chapter == CHAPTERS[4] else ""
        told = self.suite.run("-k", f"({chapter}{runtime}) and not ({OF_TEXT})")
        self.red += told.failed
        self.usual[chapter] = Counter({name: told.seconds[name] for name in told.passed
                                       if name not in told.failed})
        print(f"# {chapter} unchanged: {len(self.usual[chapter])} tests pass in "
              f"{sum(told.seconds.values()):.0f} s, {len(set(told.failed))} fail", flush=True)
        for name in sorted(set(told.failed)):
            print(f"#   {name}", flush=True)
        assert self.usual[chapter], told.output

    def finder(self, change: Change, unchanged: str) -> tuple[str, bool]:
        """The test that notices, and whether it does so by never coming to an end."""
        if change.chapter not in self.usual:
            self.learn(change.chapter)
        usual = self.usual[change.chapter]
        order = sorted(usual, key=lambda name: usual[name] / (1 + 10 * self.finders[name]))
        path = self.suite.copy / change.file
        while order:
            change.apply(self.suite.copy)
            told = self.suite.run("-x", order=order, usual=usual)
            assert told.passed or told.failed, told.output
            if not told.failed:
                break
            name = told.failed[0]
            again = self.suite.run(order=[name], usual=usual)
            path.write_text(unchanged, encoding="utf-8")
            if again.failed and not self.suite.run(order=[name], usual=usual).failed:
                self.finders[name] += 1
                return name, bool(again.hung)
            self.flaky[name] += 1
            order = [other for other in order if other != name and other not in told.passed]
        path.write_text(unchanged, encoding="utf-8")
        return "", False


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=84)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="PATTERN")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--save", type=Path, metavar="FILE", help="the results, as JSON")
    parser.add_argument("--tests", type=Path, default=HERE.parents[1], metavar="TREE")
    parser.add_argument("--chapters", type=Path, metavar="TREE", help="if not those of --tests")
    return parser.parse_args()


def hunt(options: argparse.Namespace, scratch: Path) -> list[dict[str, object]]:
    chapters = (options.chapters or options.tests).resolve()
    suite = Suite(options.tests.resolve(), chapters, scratch)
    hunted, results = Hunt(suite), []
    for change in choose(suite.copy, options.seed):
        if len(results) == options.count:
            break
        unchanged = (suite.copy / change.file).read_text(encoding="utf-8")
        if not re.search(options.only, change.name) or not hunted.is_worth_it(change, unchanged):
            continue
        started = time.monotonic()
        by, hung = ("", False) if options.list else hunted.finder(change, unchanged)
        results.append({**asdict(change), "found_by": by, "hung": hung,
                        "seconds": round(time.monotonic() - started, 1)})
        outcome = "" if options.list else f"{'found' if by else 'SURVIVED'}  "
        print(f"{len(results):3}  {outcome}{change.name}{'  ' + by if by else ''}", flush=True)
        if options.save:
            options.save.write_text(json.dumps({"results": results, "red": hunted.red,
                                                "flaky": hunted.flaky}, indent=1))
    return results


def main() -> int:
    options = arguments()
    os.nice(10)
    Path("/proc/self/oom_score_adj").write_text("1000")  # a mutant that takes all memory ends first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        results = hunt(options, Path(scratch))
    survivors = [result for result in results if not result["found_by"]]
    if not options.list:
        print(f"{len(results)} mutants, {len(results) - len(survivors)} found, "
              f"{len(survivors)} survived")
    return 0


if __name__ == "__main__":
    sys.exit(main())
