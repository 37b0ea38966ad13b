"""That a page which says anything else than the tests have seen is found. (plugin.py holds it
against the results at the end of a run.)"""

from __future__ import annotations

import re

import pytest

from faults import plugin
from faults.rows import BY_NUMBER, CHAPTERS, FAULTS, ONE

HERE = (9, ONE)
WALL = "**wall**: its only thread sleeps"


def test_the_page_has_the_rows_of_the_list_and_every_cell_is_filled() -> None:
    page = plugin.PAGE.read_text("utf-8")
    told = plugin.read(page)
    assert set(told) == {(fault.number, chapter) for fault in FAULTS for chapter in CHAPTERS}
    assert plugin.NO_TEST not in told.values()
    assert all(f"| {fault.number} | {fault.name} | {fault.tried} |" in page for fault in FAULTS)


def test_a_number_is_used_once_and_the_rows_are_in_order() -> None:
    assert [fault.number for fault in FAULTS] == sorted(BY_NUMBER)


def test_what_is_written_is_what_is_read() -> None:
    seen = {HERE: {"served", WALL}}
    page = plugin.write(f"before\n{plugin.BEGIN}no table yet\n{plugin.END}after\n", seen)
    assert re.fullmatch("before\n<!--.*-->\nafter\n", page, re.DOTALL) and "yet" not in page
    assert plugin.read(page)[HERE] == f"served; {WALL}"
    assert plugin.read(page)[26, ONE] == "– one thread"


@pytest.mark.parametrize("seen, says, whole, differs", [
    ({"served"}, "served", True, False),
    ({"served"}, "refused", True, True),
    ({"served", WALL}, f"served; {WALL}", True, False),
    ({"served"}, f"served; {WALL}", True, True),
    ({"served"}, f"served; {WALL}", False, False),  # the other test was not asked for
    ({WALL}, "served", False, True),
    (set(), "served", False, False),
    (set(), "served", True, True),
])
def test_a_cell_is_held_against_what_was_seen(
        seen: set[str], says: str, whole: bool, differs: bool) -> None:
    page = plugin.read(plugin.write("", {HERE: {says}} if ";" not in says else
                                    {HERE: set(says.split("; "))}))
    assert bool(plugin.differences({HERE: seen}, page, {HERE} if whole else set())) is differs


def test_a_run_of_some_tests_adds_to_the_page() -> None:
    page = {HERE: "served", (26, ONE): "– one thread", (27, ONE): plugin.NO_TEST}
    assert plugin.together({HERE: {WALL}}, page, set()) == {HERE: {WALL, "served"}}
    assert plugin.together({HERE: {WALL}}, page, {HERE}) == {HERE: {WALL}}
