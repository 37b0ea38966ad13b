"""What README.md, the chapters' README.md and docs/ say is so; pages.py tells how a page says it."""

from __future__ import annotations

from typing import Callable

import pytest

import pages
from support import machine
from pages import Page, Problem

every_page = pytest.mark.parametrize("name", pages.page_names())


@pytest.fixture(autouse=True)
def only_for_this_project(request: pytest.FixtureRequest) -> None:
    if any(request.config.getoption(name, default="") for name in ("--server", "--client")):
        pytest.skip("a promise of this project's chapters: its pages")


def expect_none(check: Callable[[Page], list[Problem]], name: str) -> None:
    try:
        problems: list[object] = list(check(Page(name)))
    except pages.WrongPage as wrong:
        problems = [wrong]
    if problems:
        pytest.fail("\n\n".join(map(str, problems)), pytrace=False)


@every_page
def test_every_snippet_stands_in_the_code(name: str) -> None:
    expect_none(pages.check_snippets, name)


@every_page
def test_every_diff_is_what_diff_says(name: str) -> None:
    expect_none(pages.check_diffs, name)


@every_page
def test_every_file_and_link_leads_somewhere(name: str) -> None:
    expect_none(pages.check_names, name)


@every_page
def test_every_number_is_that_of_the_code(name: str) -> None:
    expect_none(pages.check_figures, name)


@every_page
def test_every_session_goes_as_shown(name: str) -> None:
    machine.needs_terminals()
    if "pgrep" in Page(name).text:
        machine.needs_program("pgrep", "procps")
    expect_none(pages.check_sessions, name)
