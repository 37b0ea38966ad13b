"""The small programs of 05, and the numbers of lines that its page prints."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness import proc
from harness.chapters import CHAPTERS, mirror
from pages.page import Page
from pages.replay import fits

PAGE = Page("05-async-tasks/README.md")
STEPS = sorted(path.stem for path in (PAGE.chapter / "steps").glob("*.c"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("steps") / CHAPTERS[-1].name
    mirror(CHAPTERS[-1].directory, copy)
    made = proc.run(["make", "steps"], cwd=copy, within=300, stderr=subprocess.STDOUT)
    assert made.returncode == 0 and "warning" not in made.stdout, made.stdout
    return copy / "steps"


def on_the_page(step: str) -> list[str]:
    """What the page shows below the first `$ ./steps/...` of it; nothing: not shown."""
    for block in PAGE.blocks_of("console"):
        for at, line in enumerate(block.lines):
            if line == f"$ ./steps/{step}":
                rest = block.lines[at + 1:]
                return rest[:next((i for i, text in enumerate(rest) if text[:2] == "$ "), None)]
    return []


@pytest.mark.parametrize("step", STEPS)
def test_a_step_prints_what_the_page_shows(built: Path, step: str) -> None:
    run = proc.run([str(built / step)], within=60)
    assert (run.returncode, run.stderr) == (0, "")
    shown = on_the_page(step) or ["..."]
    assert fits(shown, run.stdout.splitlines(), True), run.stdout


def test_every_number_of_a_line_is_right() -> None:
    """`line 86` on the page is that of an AWAIT in server.c, but for step 5's."""
    server = (PAGE.chapter / "server.c").read_text(encoding="utf-8").splitlines()
    await_c = (PAGE.chapter / "steps/5-await.c").read_text(encoding="utf-8").splitlines()
    numbers = {int(number) for number in re.findall(r"line (\d\d+)", PAGE.text)}
    numbers |= {int(number) for number in re.findall(r"the line, (\d+)", PAGE.text)}
    numbers |= {int(number) for picture in PAGE.chapter.glob("*.svg")
                for number in re.findall(r"line (\d+)", picture.read_text(encoding="utf-8"))}
    assert numbers, "the page names no line"
    wrong = [number for number in numbers if "AWAIT" not in server[number - 1]]
    assert not wrong, f"server.c has no AWAIT in these lines: {wrong}"
    states = {int(number) for number in re.findall(r"in state (\d\d+)", PAGE.text)}
    assert states == {number for number, line in enumerate(await_c, start=1)
                      if line.strip().startswith("AWAIT(")}


def test_every_place_in_a_backtrace_is_right() -> None:
    """`FUNCTION (...) at FILE:LINE`: inside that function."""
    places = re.findall(r"(\w+) \(.*\) at ([\w./]+\.c):(\d+)$", PAGE.text, re.M)
    assert places
    for function, file, number in places:
        lines = (PAGE.chapter / file).read_text(encoding="utf-8").splitlines()
        begin = max(i for i in range(int(number)) if re.match(r"\w", lines[i]))
        assert f"{function}(" in lines[begin], f"{file}:{number} is not in {function}()"
