"""Which fault came to what in which chapter: gathered from the tests' reports, and held against
docs/faults.md at the end of a run. Stands between faults.py (the rows) and conftest.py.

    pytest tests/                     a cell that differs from the page fails the run
    pytest tests/ --rewrite-faults    writes the page anew
    pytest tests/ --server ... --faults-json FILE     what a foreign server did, for another page
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Mapping, Sequence

import pytest

import faults
from support.chapters import CHAPTERS, REPOSITORY

PAGE = REPOSITORY / "docs" / "faults.md"
NO_TEST = "no test yet"
WALL = "**the wall**: "
DEATH = re.compile(r"^The server .* (ended with .*)\.$", re.MULTILINE)
ENDING = re.compile(r"^but (.*?)\.?$", re.MULTILINE)

Place = tuple[int, str]  # a fault's number, a chapter's name


@dataclass
class Cell:
    words: set[str] = field(default_factory=set)  # one for each kind of ending
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # why

    @property
    def text(self) -> str:
        return "; ".join(sorted(self.words, key=lambda words: (words.startswith(WALL), words)))


def words_in(text: str) -> set[str]:
    return set(text.split("; "))


# ---- what the tests say -------------------------------------------------------------------


def faults_of(item: pytest.Item) -> set[int]:
    return {number for mark in item.iter_markers("fault") for number in mark.args}


def label(item: pytest.Item, report: pytest.TestReport) -> None:
    """Writes on a report which faults it is about, and what became of them."""
    for mark in item.iter_markers("fault"):
        params = getattr(getattr(item, "callspec", None), "params", {})
        chapter = getattr(params.get("chapter"), "name", "") or mark.kwargs["chapter"]
        story = getattr(item, "funcargs", {}).get("story")
        happened = getattr(story, "happened", "") or mark.kwargs.get("happened", "served")
        assert ";" not in happened, f"a semicolon would end the words: {happened}"
        report.user_properties.append(("fault", {
            "rows": mark.args, "happened": happened, "chapter": chapter}))


def label_walls(item: pytest.Item, report: pytest.TestReport) -> None:
    """Writes on a report whose wall this test is, and in which chapter it was run now."""
    chapter = getattr(item, "callspec", None) and item.callspec.params.get("chapter")
    for mark in item.iter_markers("wall") if chapter else ():
        report.user_properties.append(("wall", [*mark.args, item.originalname, chapter.name]))


@dataclass(frozen=True, order=True)
class Wall:
    chapter: str
    why: str
    test: str


class Results:
    """The cells that were filled in this run, and the walls that were met."""

    def __init__(self) -> None:
        self.cells: dict[Place, Cell] = defaultdict(Cell)
        self.walls: set[Wall] = set()
        self.passed: set[tuple[str, str]] = set()  # a wall's test, and a chapter that passes it
        self.walls_skipped = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, about in report.user_properties:
            if name == "fault":
                for row in about["rows"]:
                    _note(self.cells[row, about["chapter"]], report, about["happened"])
            elif name == "wall":
                self._note_wall(report, *about)

    def _note_wall(self, report: pytest.TestReport, chapter: str, why: str, test: str,
                   here: str) -> None:
        if report.skipped and hasattr(report, "wasxfail") and chapter == here:
            self.walls.add(Wall(chapter, why, test))
        elif report.skipped:
            self.walls_skipped = True
        elif report.passed and report.when == "call":
            self.passed.add((test, here))

    def as_json(self) -> str:
        return json.dumps([{"row": row, "words": sorted(cell.words), "failed": cell.failed,
                            "skipped": cell.skipped}
                           for (row, _), cell in sorted(self.cells.items())], indent=1)


def _note(cell: Cell, report: pytest.TestReport, happened: str) -> None:
    if report.failed:
        text = report.longreprtext
        death, ending = DEATH.search(text), ENDING.search(text)
        cell.failed.append(f"the server {death[1]}" if death else ending[1] if ending
                           else report.nodeid)
    elif report.skipped and hasattr(report, "wasxfail"):
        cell.words.add(WALL + report.wasxfail)
    elif report.skipped:
        cell.skipped.append(str(report.longrepr[2]).removeprefix("Skipped: "))  # type: ignore
    elif report.when == "call":
        cell.words.add(happened)


# ---- the page -----------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |\n"
                   for line in lines)


def list_of_faults() -> str:
    return table(["#", "fault", "how it is provoked", "what is right", "who met it"],
                 [(fault.number, fault.name, fault.provoked, fault.right, fault.bitten)
                  for fault in faults.FAULTS])


def expected_cell(cells: Mapping[Place, Cell], fault: faults.Fault, chapter: str) -> str:
    if cells.get((fault.number, chapter), Cell()).words:
        return cells[fault.number, chapter].text
    return f"– {fault.not_in[chapter]}" if chapter in fault.not_in else NO_TEST


def matrix(cells: Mapping[Place, Cell]) -> str:
    names = [chapter.name for chapter in CHAPTERS]
    return table(["#", "fault", *names], [
        (fault.number, fault.name, *(expected_cell(cells, fault, name) for name in names))
        for fault in faults.FAULTS])


def between(text: str, name: str) -> str:
    """What stands between <!-- begin NAME --> and <!-- end NAME -->."""
    found = re.search(rf"<!-- begin {name} -->\n\n(.*?)\n<!-- end {name} -->", text, re.DOTALL)
    assert found, f"there is no <!-- begin {name} --> with its end"
    return found[1]


def put_between(text: str, name: str, block: str) -> str:
    return text.replace(between(text, name), block)


def cells_of_page(text: str) -> dict[Place, str]:
    head, _, *rows = ([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)]
                      for line in between(text, "cells").splitlines())
    return {(int(row[1]), chapter): cell
            for row in rows for chapter, cell in zip(head[3:-1], row[3:-1])}


def table_of_walls(results: Results) -> str:
    """The last column is the next chapter, or, after the last one, any other."""
    rows = []
    for wall in sorted(results.walls):
        others = sorted(name for test, name in results.passed if test == wall.test)
        after = [name for name in others if name > wall.chapter] or others
        rows.append((wall.chapter, f"{sentence(wall.test)}: {wall.why}", *(after[:1] or ["–"])))
    return table(["chapter", "meant to fail, and why", "the same test passes in"], rows)


def sentence(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


# ---- one held against the other -----------------------------------------------------------


def drifts(cells: Mapping[Place, Cell], page: Mapping[Place, str], full: bool) -> dict[Place, str]:
    """Where they differ, and how. After a part of the tests, what they saw must be on the page;
    after all of them, the page must hold nothing else either."""
    found = {}
    for fault in faults.FAULTS:
        for chapter in CHAPTERS:
            place = fault.number, chapter.name
            cell, told = cells.get(place, Cell()), page.get(place, "(no such cell)")
            whole = full and not cell.skipped and not cell.failed
            seen = expected_cell(cells, fault, chapter.name)
            if seen != told if whole else cell.words - words_in(told):
                found[place] = f"the page says: {told}\nthe tests saw: {seen}"
    return found


def not_compared(cells: Mapping[Place, Cell]) -> dict[str, list[int]]:
    """Why a cell is empty, and in which rows: its tests were all skipped."""
    reasons: dict[str, list[int]] = defaultdict(list)
    for (row, _), cell in sorted(cells.items()):
        if cell.skipped and not cell.words and row not in reasons[cell.skipped[0]]:
            reasons[cell.skipped[0]].append(row)
    return reasons


def is_full(session: pytest.Session) -> bool:
    """Were all tests of all files asked for?"""
    option = session.config.option
    files = {item.path for item in session.items}
    return (not option.keyword and not option.markexpr and not option.fault
            and files >= set(Path(__file__).parents[1].glob("test_*.py")))


def report_drifts(session: pytest.Session, results: Results) -> None:
    """Each cell that differs is a failure of the run, as if a test of its own had failed."""
    page = PAGE.read_text(encoding="utf-8")
    full = is_full(session)
    for (row, chapter), text in drifts(results.cells, cells_of_page(page), full).items():
        _fail(session, f"fault {row} in {chapter}", text)
    seen, told = table_of_walls(results), between(page, "walls")
    if full and not results.walls_skipped and seen != told:
        _fail(session, "the walls", f"the page says:\n{told}\nthe tests saw:\n{seen}")


def _fail(session: pytest.Session, what: str, text: str) -> None:
    where = f"docs/faults.md::{what}"
    session.config.hook.pytest_runtest_logreport(report=pytest.TestReport(
        nodeid=where, location=("docs/faults.md", None, where), keywords={}, outcome="failed",
        when="call", longrepr=f"{text}\n(write the page anew: pytest tests/ --rewrite-faults)"))


def rewrite(session: pytest.Session, results: Results) -> str:
    """Returns why it cannot be done, or nothing."""
    if not is_full(session) or session.testsfailed:
        return "not written: that takes a run of all tests, without a failure"
    reasons = not_compared(results.cells)
    if reasons:
        return "not written: " + ", ".join(f"{why} (fault {rows})" for why, rows in reasons.items())
    text = PAGE.read_text(encoding="utf-8")
    text = put_between(text, "cells", matrix(results.cells))
    text = put_between(text, "walls", table_of_walls(results))
    PAGE.write_text(put_between(text, "list", list_of_faults()), encoding="utf-8")
    return ""


class Matrix:
    """The plugin: picks the tests of one fault when asked to, and looks at what came of all
    tests when the last of them has ended."""

    def __init__(self, config: pytest.Config) -> None:
        self.results = Results()
        self.message = ""
        self._config = config
        config.pluginmanager.register(self.results)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        number = self._config.getoption("--fault")
        if number:
            others = [item for item in items if number not in faults_of(item)]
            items[:] = [item for item in items if number in faults_of(item)]
            self._config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterable[None]:
        yield
        option = self._config.getoption
        if option("--faults-json"):
            Path(option("--faults-json")).write_text(self.results.as_json(), encoding="utf-8")
        if option("--server") or session.config.option.collectonly:
            return
        if option("--rewrite-faults"):
            self.message = rewrite(session, self.results) or "docs/faults.md is written anew"
        else:
            report_drifts(session, self.results)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.message:
            terminalreporter.write_line(f"docs/faults.md: {self.message}")
        foreign = self._config.getoption("--server")
        reasons = {} if foreign else not_compared(self.results.cells)
        for why, rows in reasons.items():
            terminalreporter.write_line(f"docs/faults.md: fault {rows} is not compared: {why}")


def add_options(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-faults", action="store_true",
                     help="write docs/faults.md anew from what the tests see")
    parser.addoption("--faults-json", default="", metavar="FILE",
                     help="write there what became of each fault")
    parser.addoption("--fault", type=int, default=0, metavar="NUMBER",
                     help="only the tests about this row of docs/faults.md")

