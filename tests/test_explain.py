"""`make explain` shows what await is made of. What it shows must be the truth: here the server
is built from it, and must do what the one that is built from the macros does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.chapters import REPOSITORY

CHAPTER = REPOSITORY / "05-async-tasks"
SOURCES = ("server.c", "server_guest.c")
PLAIN = {name: value for name, value in os.environ.items() if name not in ("SAN", "MAKEFLAGS")}


@pytest.fixture(autouse=True)
def _ours_only(request: pytest.FixtureRequest) -> None:
    if any(map(request.config.getoption, ("--server", "--client"))):
        pytest.skip("about the code of 05-async-tasks, not about a server")


def _explain(*arguments: str) -> str:
    return subprocess.run(["./explain", *arguments], cwd=CHAPTER, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


@pytest.mark.parametrize("source", SOURCES)
def test_each_async_function_is_shown_before_and_after(source: str) -> None:
    functions = re.findall(r"^static struct poll (\w+_poll)\(.*(?:\n(?!}$).*)*?ASYNC_BEGIN",
                           (CHAPTER / source).read_text(encoding="utf-8"), re.MULTILINE)
    shown = _explain(source)
    assert functions
    for function in functions:
        assert shown.count(f"static struct poll {function}(") == 2, f"{function} is not shown twice"
    after = re.findall(r"as it is compiled.*?(?=/\* ---- as it is written|\Z)", shown, re.DOTALL)
    assert len(after) == len(functions)
    assert not any(re.search(r"AWAIT|ASYNC_", text) for text in after), "a macro is left"


def test_make_explain_shows_them_at_the_top_and_in_the_chapter() -> None:
    shown = "".join(_explain(source) for source in reversed(SOURCES))
    for directory in (REPOSITORY, CHAPTER):
        made = subprocess.run(["make", "-s", "explain"], cwd=directory, check=True, text=True,
                              stdout=subprocess.PIPE)
        assert made.stdout == shown


def test_the_server_built_from_what_is_shown_behaves_the_same(tmp_path: Path) -> None:
    chapter = tmp_path / "05-async-tasks"
    shutil.copytree(CHAPTER, chapter, ignore=shutil.ignore_patterns(
        "build*", "server", "client", "*-address", "*-thread"))
    for source in SOURCES:
        (chapter / source).write_text(_explain("--whole", source), encoding="utf-8")
    subprocess.run(["make", "-s", "server", "CFLAGS=-O2 -Werror"], cwd=chapter, check=True,
                   env=PLAIN)
    checked = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "tests/test_server_echo.py", "tests/test_server_half_close.py",
         "--server", f"{chapter}/server --port {{port}} --quiet"],
        cwd=REPOSITORY, text=True, env=PLAIN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert checked.returncode == 0, checked.stdout
    assert re.search(r"\d+ passed", checked.stdout)
