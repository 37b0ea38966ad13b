"""Which fault came to what, in which chapter: gathered from the tests, and held against
docs/faults.md.

A test is marked with the faults that it is about, and with how that ends where it is not
"served": fault(10, happened="waits"). Where the end depends on the chapter, the test says it:
story.outcome("refused"). A test without a chapter as its parameter says which it means.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Iterator, Mapping

import pytest

from faults.rows import BY_NUMBER, CHAPTERS, FAULTS, Fault

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
BEGIN, END = "<!-- written by pytest --write-faults -->\n", "<!-- end -->\n"
HEAD = ("#", "fault", "how it is tried", *CHAPTERS)
NO_TEST, SERVED = "no test", "✓"

Place = tuple[int, str]  # a fault's number and a chapter
Seen = Mapping[Place, set[str]]


# ---- the page ---------------------------------------------------------------------------

def cell(seen: Seen, fault: Fault, chapter: str) -> str:
    """What was seen. A wall comes last."""
    outcomes = seen.get((fault.number, chapter), set())
    if outcomes:
        return "; ".join(sorted(outcomes, key=lambda words: (words.startswith("**"), words)))
    return f"– {fault.cannot[chapter]}" if chapter in fault.cannot else NO_TEST


def write(text: str, seen: Seen) -> str:
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [(str(fault.number), fault.name, fault.tried,
              *(cell(seen, fault, chapter) for chapter in CHAPTERS)) for fault in FAULTS]
    lines = ["| " + " | ".join(text.replace("|", r"\|") for text in row) + " |\n" for row in rows]
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{''.join(lines)}\n{END}{rest.partition(END)[2]}"


def read(text: str) -> dict[Place, str]:
    """The cells of the page."""
    told = {}
    for line in text.partition(BEGIN)[2].partition(END)[0].splitlines():
        number, *rest = line.strip("| ").split(" | ")
        if number.isdigit():
            told.update({(int(number), chapter): words
                         for chapter, words in zip(CHAPTERS, rest[2:])})
    return told


def together(seen: Seen, page: Mapping[Place, str], whole: set[Place]) -> Seen:
    """What the page should say: what was seen, and where not all tests of a place have run,
    what it says already."""
    result = {place: set(words) for place, words in seen.items()}
    for place in set(page) - whole:
        if not page[place].startswith(("–", NO_TEST)):
            result.setdefault(place, set()).update(page[place].split("; "))
    return result


def differences(seen: Seen, page: Mapping[Place, str], whole: set[Place]) -> list[str]:
    now = together(seen, page, whole)
    return [f"fault {fault.number} in {chapter}: docs/faults.md says "
            f"\"{page.get((fault.number, chapter))}\", the tests have seen \"{seen_now}\""
            for fault in FAULTS for chapter in CHAPTERS for seen_now in [cell(now, fault, chapter)]
            if page.get((fault.number, chapter)) != seen_now]


# ---- the tests --------------------------------------------------------------------------

def about(item: pytest.Item) -> Iterator[tuple[int, str, str]]:
    """The cells that a test fills if it passes: fault, chapter, and what it writes there."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    story = getattr(item, "funcargs", {}).get("story")
    for mark in item.iter_markers("fault"):
        chapter = getattr(params.get("chapter"), "name", mark.kwargs.get("chapter"))
        outcome = getattr(story, "happened", "") or mark.kwargs.get("happened", "served")
        for number in mark.args:
            if number not in BY_NUMBER or chapter not in CHAPTERS:
                raise pytest.UsageError(f"{item.nodeid}: docs/faults.md has no place for "
                                        f"fault({number}, chapter={chapter!r})")
            yield number, chapter, outcome if outcome != "served" else SERVED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.option.fault
    if wanted and wanted not in BY_NUMBER:
        raise pytest.UsageError(f"there is no fault {wanted}; there are {[*BY_NUMBER]}")
    others = [item for item in items if wanted not in (
        number for mark in item.iter_markers("fault") for number in mark.args)]
    if wanted:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


class Faults:
    """Holds the page against what the tests have seen, or writes it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seen: dict[Place, set[str]] = defaultdict(set)
        self.unfinished: set[Place] = set()  # a test of it was skipped, or failed

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            list(about(item))  # says at once where a mark has no place

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """What is written on the report also travels from the workers of xdist."""
        report = (yield).get_result()  # type: ignore[attr-defined,misc]
        try:
            report.user_properties += [("fault", place) for place in about(item)]
        except pytest.UsageError as error:  # a mark that was added while the test ran
            report.outcome, report.longrepr = "failed", str(error)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name != "fault":
                continue
            number, chapter, outcome = value
            if report.skipped and hasattr(report, "wasxfail"):
                self.seen[number, chapter].add(f"**wall**: {report.wasxfail}")
            elif not report.passed:
                self.unfinished.add((number, chapter))
            elif report.when == "call":
                self.seen[number, chapter].add(outcome)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Iterator[None]:
        outcome, config = (yield), self.config
        if outcome.excinfo or config.option.collectonly or hasattr(config, "workerinput"):
            return
        text = PAGE.read_text("utf-8")
        page = read(text)
        whole = set(page) - self.unfinished if self.is_whole() else set()
        if config.option.write_faults:
            PAGE.write_text(write(text, together(self.seen, page, whole)), "utf-8")
            return
        found = differences(self.seen, page, whole)
        if found:  # which counts as one failed test
            where = ("docs/faults.md", None, "says what the tests have seen")
            config.hook.pytest_runtest_logreport(report=pytest.TestReport(
                nodeid="::".join(where[::2]), location=where, keywords={}, outcome="failed",
                when="call", longrepr="\n".join(
                    [*found, "(--write-faults writes the page anew, with --fault N one row)"])))

    def is_whole(self) -> bool:
        """Was the whole suite asked for?"""
        part = ("keyword", "markexpr", "fault", "lf", "deselect", "ignore", "ignore_glob")
        paths = {Path(str(argument)).resolve() for argument in self.config.args}
        return bool(paths & {TESTS, TESTS.parent}) and not any(
            getattr(self.config.option, name, None) for name in part)


def add_options(parser: pytest.Parser) -> None:
    parser.addoption("--write-faults", action="store_true",
                     help="write docs/faults.md anew from what the tests have seen")
    parser.addoption("--fault", type=int, metavar="NUMBER",
                     help="only the tests about this row of docs/faults.md")


def plugins(config: pytest.Config) -> list[object]:
    """Other programs are held against no page, but --fault picks tests for them, too."""
    option = config.option
    ours = not (option.server or option.client or option.behaviour)
    return [sys.modules[__name__], *([Faults(config)] if ours else [])]
