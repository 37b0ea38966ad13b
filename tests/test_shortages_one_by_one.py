"""The first malloc() fails, then the second, then the third ... until a run needs no more.

Each program is run once for each allocation that it makes, and that one finds no memory: at its
start it must say so and end with exit status 1; later only the guest whom it concerns may be
turned away. The same with threads. tests/shim/shim.c makes them fail.

Here a run is shared by the many tests it is: a test goes through all numbers of one program.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Optional

import pytest

from support import shims
from support.chapters import Chapter
from support.evening import SERVED, TURNED_AWAY, Evening, spend_evening
from support.servers import SANITIZER, binary
from support.story import Story
from support_clients.errands import ERRANDS, Errand, run_errand
from support_clients.wrong_servers import StartPythonServer, echo

pytest_plugins = "support_clients.fixtures"
pytestmark = [
    pytest.mark.ours_only("what it does without memory"),
    pytest.mark.skipif(bool(SANITIZER or shims.WORDS), reason="SAN or SHIM is set already"),
]

ENOUGH = 500  # no program here asks so often in a short evening
SIDE_BY_SIDE = 8

# Alone, or it and all after it: a shortage that passes, and one that stays.
kinds = pytest.mark.parametrize("stays", [False, True], ids=["once", "from-then-on"])


def _in_turn(run: Callable[[int], Optional[str]]) -> tuple[int, list[str]]:
    """Runs with 1, 2, 3 ... until one returns None: nothing failed there. How many did, and
    what was wrong in them."""
    wrong: list[str] = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        for start in range(1, ENOUGH, SIDE_BY_SIDE):
            numbers = range(start, start + SIDE_BY_SIDE)
            for number, found in zip(numbers, threads.map(run, numbers)):
                if found is None:
                    return number - 1, wrong
                wrong += [f"{number}: {found}"] if found else []
    raise AssertionError("the numbers have no end")


def _expect_none(story: Story, what: str, runs: int, wrong: list[str]) -> None:
    story.tell(f"let {what} fail in {runs} runs, at another place in each")
    story.check(not wrong, "each to end well",
                f"{len(wrong)} did not:\n  " + "\n  ".join(wrong[:20]))


# ---- servers ------------------------------------------------------------------------------

def _judge_evening(evening: Evening, chapter: Chapter, stays: bool, descriptors: int) -> str:
    """What is wrong with it, if anything. So many descriptors are open on an ordinary one."""
    if not evening.listened:
        fine = evening.status == 1 and evening.stderr.startswith("server: ")
        return "" if fine else evening.told()
    turned_away = evening.guests.count(TURNED_AWAY)
    fine = (evening.status is None and evening.calm
            and set(evening.guests) <= {SERVED, TURNED_AWAY}
            and (stays or turned_away <= 1)
            and (not turned_away or bool(evening.stderr))
            and evening.descriptors <= descriptors
            and evening.goodbye == (0 if chapter.clean_goodbye else -15))
    return "" if fine else evening.told()


@pytest.mark.fault(27, happened="at start a line and exit 1, later that guest alone")
@kinds
def test_a_server_without_memory_turns_one_guest_away_at_most(
        chapter: Chapter, story: Story, tmp_path: Path, stays: bool) -> None:
    _try_server(chapter, story, tmp_path, "malloc", stays)


@pytest.mark.promise("many_threads")
@kinds
def test_a_server_without_a_thread_turns_one_guest_away_at_most(
        chapter: Chapter, story: Story, tmp_path: Path, stays: bool) -> None:
    _try_server(chapter, story, tmp_path, "thread", stays)


def _try_server(chapter: Chapter, story: Story, tmp_path: Path, rule: str, stays: bool) -> None:
    shims.library()  # built before there are several threads
    usual = spend_evening(chapter, [])
    story.check(usual.guests == [SERVED] * len(usual.guests), "all served while nothing fails",
                usual.told())

    def run(number: int) -> Optional[str]:
        note = tmp_path / str(number)
        words = f"{rule}={number}{'+' if stays else ''}"
        evening = spend_evening(chapter, shims.before(words, str(note)))
        if not note.exists():
            return None
        return _judge_evening(evening, chapter, stays, usual.descriptors)

    _expect_none(story, f"{rule} of {chapter.name}/server", *_in_turn(run))


# ---- clients ------------------------------------------------------------------------------

@pytest.mark.fault(27, happened="a client says so, exit 1")
@kinds
@pytest.mark.parametrize("errand", ERRANDS, ids=lambda errand: errand.name)
def test_a_client_without_memory_says_so(
        chapter: Chapter, story: Story, tmp_path: Path, errand: Errand, stays: bool,
        start_python_server: StartPythonServer) -> None:
    port = start_python_server(echo).port
    _try_client(chapter, story, tmp_path, errand, port, "malloc", stays)


@pytest.mark.promise("many_threads")
@kinds
@pytest.mark.parametrize("errand", ERRANDS, ids=lambda errand: errand.name)
def test_a_client_without_a_thread_says_so(
        chapter: Chapter, story: Story, tmp_path: Path, errand: Errand, stays: bool,
        start_python_server: StartPythonServer) -> None:
    port = start_python_server(echo).port
    _try_client(chapter, story, tmp_path, errand, port, "thread", stays)


def _try_client(chapter: Chapter, story: Story, tmp_path: Path, errand: Errand, port: int,
                rule: str, stays: bool) -> None:
    shims.library(), binary(chapter, "client")

    def run(number: int) -> Optional[str]:
        note = tmp_path / str(number)
        words = f"{rule}={number}{'+' if stays else ''}"
        result = run_errand(chapter, errand, port, shims.before(words, str(note)))
        return result.complaint() if note.exists() else None

    _expect_none(story, f"{rule} of {chapter.name}/client", *_in_turn(run))
