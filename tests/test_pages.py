"""What README.md, the chapters' README.md and docs/ say is so; pages.py tells how a page says it."""

from __future__ import annotations

import html
import re
from pathlib import Path
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


@pytest.mark.parametrize("picture", sorted((pages.TOP / "docs").glob("*.svg")),
                         ids=lambda path: path.name)
def test_a_picture_uses_the_names_of_the_code(picture: Path) -> None:
    """Whatever looks like C in it: a_name, a.member, a->member, CAPITALS."""
    code = "\n".join(path.read_text(encoding="utf-8")
                     for path in pages.TOP.glob("[0-9][0-9]-*/*.[ch]"))
    words = " ".join(html.unescape(text) for text in
                     re.findall(r"<text[^>]*>([^<]*)</text>", picture.read_text(encoding="utf-8")))
    names = re.findall(r"\b[A-Za-z]+(?:_\w+|(?:->|\.)(?=[a-z])\w+)+|\b[A-Z]{3,}\b", words)
    parts = {part for name in names for part in re.split(r"->|\.", name)}
    unknown = sorted(part for part in parts if not re.search(rf"\b{part}\b", code))
    assert not unknown, f"docs/{picture.name} has names that the code has not: {unknown}"
