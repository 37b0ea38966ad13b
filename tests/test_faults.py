"""The fault matrix, tested: a page that says anything else than the tests have seen is found.

What each fault comes to is seen by the other files; support/matrix.py gathers it.
"""

from __future__ import annotations

import pytest

from elsewhere import page as elsewhere
from faults import BY_NUMBER, FAULTS, ONE, SELECT, TASKS, THREADS
from support import matrix
from support.chapters import CHAPTERS
from support.matrix import Cell, drifts

pytestmark = pytest.mark.ours_only("about the page docs/faults.md")

@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    if request.config.getoption("--rewrite-faults"):
        pytest.skip("the page is about to be written")
    return matrix.PAGE.read_text(encoding="utf-8")


def test_the_list_of_faults_on_the_page_is_that_of_the_tests(page: str) -> None:
    assert matrix.between(page, "list") == matrix.list_of_faults()


def test_each_fault_has_a_cell_in_each_chapter_and_no_cell_is_without_a_test(page: str) -> None:
    told = matrix.cells_of_page(page)
    assert set(told) == {(fault.number, chapter.name) for fault in FAULTS for chapter in CHAPTERS}
    assert matrix.NO_TEST not in told.values()


def test_each_chapter_but_the_last_has_a_wall_and_the_next_one_passes_it(page: str) -> None:
    told = {tuple(line.split(" | ")[::2]) for line in matrix.between(page, "walls").splitlines()}
    names = [chapter.name for chapter in CHAPTERS]
    missing = {(f"| {name}", f"{after} |") for name, after in zip(names, names[1:])} - told
    assert not missing


def test_a_fault_has_one_number_and_stands_in_its_place() -> None:
    numbers = [fault.number for fault in FAULTS]
    assert numbers == sorted(BY_NUMBER)


def test_the_page_on_other_servers_has_the_same_faults_and_names_every_server() -> None:
    """What they do is not ours to promise; `make -C tests/elsewhere page` looks again."""
    text = elsewhere.PAGE.read_text(encoding="utf-8")
    head, _, *rows = (line.split(" | ") for line in matrix.between(text, "cells").splitlines())
    names = [server.name for server in elsewhere.SERVERS]
    assert head[2:] == [*names[:-1], f"{names[-1]} |"]
    assert rows and all(BY_NUMBER[int(row[0][2:])].name == row[1] for row in rows)
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=lambda n: int(n[2:]))
    for server in elsewhere.SERVERS:
        assert f"`{server.command}`" in matrix.between(text, "commands")


# ---- a drift is found ------------------------------------------------------------------------

HERE = (9, ONE)


def _told(cell: str) -> dict[matrix.Place, str]:
    """A page on which every cell is as it is without any test, but this one."""
    return {(fault.number, chapter.name): matrix.expected_cell({}, fault, chapter.name)
            for fault in FAULTS for chapter in CHAPTERS} | {HERE: cell}


@pytest.mark.parametrize("seen, told, full, drift", [
    ({"served"}, "served", True, False),
    ({"served"}, "waited, then served", True, True),
    ({"served", matrix.WALL + "x"}, f"served; {matrix.WALL}x", True, False),
    ({"served"}, f"served; {matrix.WALL}x", True, True),
    ({"served"}, f"served; {matrix.WALL}x", False, False),  # the other test was not asked for
    ({matrix.WALL + "x"}, "served", False, True),
    (set(), "served", False, False),
    (set(), "served", True, True),
])
def test_a_cell_is_held_against_what_was_seen(
        seen: set[str], told: str, full: bool, drift: bool) -> None:
    assert (HERE in drifts({HERE: Cell(words=seen)}, _told(told), full)) is drift


def test_a_skipped_test_says_nothing_against_the_page() -> None:
    assert not drifts({HERE: Cell(skipped=["no strace here"])}, _told("served"), True)
    assert matrix.not_compared({HERE: Cell(skipped=["no strace here"])}) == {"no strace here": [9]}


def test_a_chapter_that_a_fault_cannot_meet_needs_no_test() -> None:
    place = (26, ONE)
    assert BY_NUMBER[26].not_in[ONE] and THREADS not in BY_NUMBER[26].not_in
    assert not drifts({}, _told(matrix.NO_TEST), True)
    assert place in drifts({place: Cell(words={"served"})}, _told(matrix.NO_TEST), True)


def test_a_wall_is_told_with_the_chapter_that_is_over_it() -> None:
    results = matrix.Results()
    results.walls = {matrix.Wall(ONE, "why", "test_a_b"), matrix.Wall(TASKS, "so", "test_c")}
    results.passed = {("test_a_b", SELECT), ("test_a_b", THREADS), ("test_c", THREADS)}
    rows = matrix.table_of_walls(results).splitlines()[2:]
    assert rows == [f"| {ONE} | a b: why | {THREADS} |", f"| {TASKS} | c: so | {THREADS} |"]


def test_what_is_written_is_what_is_read() -> None:
    cells = {HERE: Cell(words={"a | b", matrix.WALL + "c"})}
    text = f"<!-- begin cells -->\n\n{matrix.matrix(cells)}\n<!-- end cells -->"
    assert not drifts(cells, matrix.cells_of_page(text), True)
    assert matrix.cells_of_page(text)[HERE] == f"a | b; {matrix.WALL}c"
