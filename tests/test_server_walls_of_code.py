"""Walls that only show when a chapter is asked for something new. tests/walls/ holds, for two
chapters each, what is asked as a patch; both are built, and run.

cooking    "each order takes 50 ms to cook, and nobody waits for somebody else's". The wall of
           04-epoll: no number of guests, but the reader's head. What does one more state cost?
thinking   a question that takes for ever. The wall of 05-async-tasks: who does not await keeps
           the thread. A thread for each guest, as in 02, does not mind.

A patch that does not apply any more is made anew: change the chapter by hand, write
`git diff 04-epoll` to tests/walls/04-epoll-cooking.patch, and take the change back.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import StartServer
from making import copy, make
from support import machine
from support.chapters import Chapter
from support.guests import PATIENCE, converse
from support.story import Story
from test_repository import FUNCTION
from test_server_slow_readers import GLIMPSE

PATCHES = Path(__file__).parent / "walls"
COOKING = 0.05  # seconds, as in the patches
FEW_LINES, FEW_FUNCTIONS = 10, 1

pytestmark = pytest.mark.ours_only("its code")


@pytest.mark.promise("thousands")
@pytest.mark.wall("04-epoll", "each state meets every other, in functions far from each other")
def test_one_more_sentence_is_a_few_lines_in_one_function(
        start_server: StartServer, story: Story, chapter: Chapter, tmp_path: Path) -> None:
    before = copy([chapter.name], tmp_path / "before") / chapter.name
    after = _patched(chapter, "cooking", story, tmp_path / "after")
    _expect_cooking(start_server, story, after / "server")
    touched = _functions(after) ^ _functions(before)
    names = sorted({name for name, _ in touched})
    lines = _changed_lines(_patch(chapter, "cooking"))
    story.tell(f"looked at what was written: {lines} lines, in {', '.join(names)}")
    story.check_wall(lines <= FEW_LINES and len(names) <= FEW_FUNCTIONS,
                     f"at most {FEW_LINES} lines, in {FEW_FUNCTIONS} function",
                     f"it took {lines} lines, in {len(names)} functions")


@pytest.mark.promise("shares_memory")
@pytest.mark.wall("05-async-tasks", "who never awaits keeps the only thread (Tokio, for such "
                  "work, has threads beside: spawn_blocking)")
def test_a_guest_whose_order_takes_for_ever_to_compute_holds_up_nobody(
        start_server: StartServer, story: Story, chapter: Chapter, tmp_path: Path) -> None:
    program = _patched(chapter, "thinking", story, tmp_path) / "server"
    server = start_server(command=f"{program} --port {{port}}")
    other = server.guest()
    other.say(b"good evening")
    thinker = server.guest()
    thinker.send(b"think")
    story.check(not thinker.hears_echo(GLIMPSE), "it to think about that", "it answers")
    other.send(b"and good night")
    threads = chapter.many_threads
    story.check_wall(other.hears_echo(PATIENCE if threads else GLIMPSE),
                     f"an echo for {other.name}", "it hears nothing")


def _patch(chapter: Chapter, what: str) -> Path:
    return PATCHES / f"{chapter.name}-{what}.patch"


def _patched(chapter: Chapter, what: str, story: Story, to: Path) -> Path:
    machine.needs_program("git", "git")
    patch = _patch(chapter, what)
    copied = copy([chapter.name], to) / chapter.name
    applied = subprocess.run(["git", "apply", "-C1", "--recount", str(patch)], cwd=to,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env={"GIT_CEILING_DIRECTORIES": str(to.parent),
                                  "PATH": str(Path(shutil.which("git") or "git").parent)},
                             check=False)
    story.check(applied.returncode == 0, f"tests/walls/{patch.name} to apply",
                f"the chapter has moved on (see the head of this file):\n{applied.stdout}")
    made = make(copied, "-s", "-j2", "CFLAGS=-O1 -Werror", "server")
    story.check(made.returncode == 0, "it to build", f"make says:\n{made.stdout}")
    story.tell(f"built a copy of {chapter.name} with tests/walls/{patch.name}")
    return copied


def _expect_cooking(start_server: StartServer, story: Story, program: Path) -> None:
    """A hundred orders cook side by side, nothing is served raw, and nothing is lost."""
    server = start_server(command=f"{program} --port {{port}} --quiet")
    start = time.monotonic()
    server.guest().say(b"the soup, please")
    story.check(time.monotonic() - start >= COOKING * 0.9, "an echo that takes its time",
                "it came at once")
    crowd = server.crowd(100)
    crowd.say_at_once([b"order %d" % number for number in range(100)])
    crowd.leave()
    guest = server.guest()
    story.tell(f"{guest.name} sent 300,000 bytes and ended its sending side")
    converse([guest], [random.Random(4).randbytes(300_000)], finish=True)
    guest.expect_goodbye()


def _changed_lines(patch: Path) -> int:
    text = patch.read_text(encoding="utf-8")
    return len(re.findall(r"^(?:\+(?!\+\+ )|-(?!-- )).", text, re.MULTILINE))


def _functions(chapter: Path) -> set[tuple[str, str]]:
    """The name and the text of each function in its sources."""
    return {(re.findall(r"(\w+)\(", found[1])[0], found[0])
            for source in chapter.glob("*.c")
            for found in FUNCTION.finditer(source.read_text(encoding="utf-8"))}
