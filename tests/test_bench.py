"""make bench: it measures who is right, tells of who is wrong, leaves nobody behind, and its page
says what was measured. No figure is judged here: that is the reader's part."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Iterator, Optional

import pytest

from making import surroundings
from support import facts
from support.chapters import REPOSITORY
from support.guests import PATIENCE
from support.story import Story

BENCH = REPOSITORY / "tests" / "bench"
MUSEUM = REPOSITORY / "tests" / "museum"
PICTURES = ("memory", "beside", "throughput", "calls", "peers")
TINY = ["--chapters", "04-epoll", "--no-peers", "--guests", "1", "--rounds", "1",
        "--seconds", "0.1"]
MARK = "BENCH_TEST"  # in the environment of all that a test has started

pytestmark = pytest.mark.ours_only("its measurements")

ONE_BYTE_IS_WRONG = """
import socket, sys, threading
def serve(guest):
    while data := guest.recv(65536):
        guest.sendall(data if len(data) < 64 else data[:40] + b"?" + data[41:])
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
"""


def _python(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(BENCH / name), *arguments]


def _measure(story: Story, out: Path, *arguments: str, **more: str) -> str:
    """What it prints, on both its outputs."""
    call = _python("measure.py", "--out", str(out), *arguments)
    story.tell(f"ran measure.py {' '.join(arguments)}")
    ran = subprocess.run(call, env=surroundings(more), stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    story.check(ran.returncode == 0, "it to succeed", f"it says:\n{ran.stdout}")
    return ran.stdout


# ---- measuring -------------------------------------------------------------------------------

def test_a_small_run_prints_a_table_with_its_machine_and_noise(story: Story,
                                                               tmp_path: Path) -> None:
    said = _measure(story, tmp_path, *TINY, "--only", "busy", "--only", "idle")
    for words in (f"Linux {os.uname().release}", "descriptors", "never with those of another",
                  r"\n04-epoll +\d[\d,]*\b", r"\nbare epoll, 1 KiB +\d", "bytes a silent guest"):
        story.check(re.search(words, said) is not None, f"'{words}' in it", f"it says:\n{said}")
    story.check((tmp_path / "results.json").exists(), "the results to be kept", "they are not")


def test_a_server_that_changes_a_byte_is_told_of_and_not_measured(story: Story,
                                                                  tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(ONE_BYTE_IS_WRONG)
    said = _measure(story, tmp_path, "--alone", f"{sys.executable} {wrong} {{port}}", *TINY,
                    "--only", "busy")
    _expect_named(story, said, r"guest 0, message 0: byte 40 is wrong")


def test_a_server_that_shortens_an_echo_is_told_of_and_not_measured(story: Story,
                                                                    tmp_path: Path) -> None:
    """ends_at_nul swallows what comes after a NUL: its guest waits, until patience ends."""
    made = subprocess.run(["make", "-s", "-C", str(MUSEUM), "build/ends_at_nul"], check=False)
    assert made.returncode == 0
    said = _measure(story, tmp_path, "--alone", f"{MUSEUM}/build/ends_at_nul {{port}}", *TINY,
                    "--only", "busy", LOAD_PATIENCE="1")
    _expect_named(story, said, r"no echo for 1 seconds")


def _expect_named(story: Story, said: str, words: str) -> None:
    story.check(re.search(f"skipped: yours: its echo is wrong with .*{words}", said) is not None,
                f"to be told of it: '{words}'", f"it says:\n{said}")
    story.check(re.search(r"^yours +\d", said, re.MULTILINE) is None, "no figure of it",
                f"it says:\n{said}")


def test_what_the_machine_lacks_is_skipped_by_name(story: Story, tmp_path: Path) -> None:
    """A machine on which there is a compiler and make, and nothing that is not needed."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("sh", "make", "cc", "gcc", "as", "ld", "mkdir"):
        found = shutil.which(name)
        if found:
            (bare / name).symlink_to(found)
    said = _measure(story, tmp_path, "--only", "calls", "--only", "instructions",
                    "--chapters", "01-blocking", PATH=str(bare))
    for name in ("Tokio: cargo", "Go: go", "Node: node", "socat: socat", "strace: strace",
                 "valgrind: valgrind"):
        story.check(f"skipped: {name} is missing" in said, f"'{name} is missing'",
                    f"it says:\n{said}")


# ---- ending ----------------------------------------------------------------------------------

def _marked(token: str) -> list[int]:
    """All living processes with this token in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and token.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended meanwhile, or is not ours to look at
    return found


@pytest.fixture
def token() -> Iterator[str]:
    token = uuid.uuid4().hex
    yield token
    for pid in _marked(token):  # only after a failure
        os.kill(pid, signal.SIGKILL)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has ended meanwhile
        return ""


def _load(token: str) -> Optional[int]:
    return next((pid for pid in _marked(token) if _name(pid) == "load"), None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
                         ids=lambda number: number.name)
def test_whoever_ends_it_leaves_no_process(story: Story, tmp_path: Path, token: str,
                                           number: signal.Signals) -> None:
    call = _python("measure.py", "--out", str(tmp_path), *TINY[:-1], "60", "--only", "busy")
    story.tell("started a long run")
    running = subprocess.Popen(call, env=surroundings({MARK: token}), start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        facts.eventually(lambda: _load(token) is not None or running.poll() is not None, PATIENCE)
        story.check(_load(token) is not None, "guests to come", "there are none")
        story.tell(f"sent {number.name} to it, while guests are served")
        running.send_signal(number)
        facts.eventually(lambda: not _marked(token), PATIENCE)
        left = [_name(pid) for pid in _marked(token)]
        story.check(not left, "nobody to be left", f"there are: {left}")
    finally:
        running.kill()
        running.wait()


# ---- the page --------------------------------------------------------------------------------

def test_the_page_and_its_pictures_say_what_was_measured(story: Story) -> None:
    story.tell("ran page.py, which reads docs/costs.md and docs/costs/results.json")
    ran = subprocess.run(_python("page.py"), stdout=subprocess.PIPE, text=True, check=False)
    story.check(ran.returncode == 0, "no difference (python3 tests/bench/publish.py mends it)",
                f"it says:\n{ran.stdout}")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_for_light_and_dark_pages_and_says_what_to_see(story: Story,
                                                                    name: str) -> None:
    picture = (REPOSITORY / "docs" / "costs" / f"{name}.svg").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs" / "costs.md").read_text(encoding="utf-8")
    for words in (r"<title>.+</title>", r"prefers-color-scheme: dark", r"results [0-9a-f]{16}"):
        story.check(re.search(words, picture) is not None, f"'{words}' in it", "it is not there")
    story.check(f"](costs/{name}.svg)" in page, "docs/costs.md to show it", "it does not")
    story.check("<dc:date>" not in picture, "no date in it", "there is one")


def test_a_number_changed_by_hand_is_found(story: Story, tmp_path: Path) -> None:
    there = tmp_path / "repository"
    shutil.copytree(BENCH, there / "tests" / "bench", ignore=shutil.ignore_patterns("build"))
    shutil.copytree(REPOSITORY / "docs", there / "docs")
    page = there / "docs" / "costs.md"
    text = page.read_text(encoding="utf-8")
    changed = re.sub(r"(<!-- cost: rounds -->)\d+", r"\g<1>99", text, count=1)
    story.check(changed != text, "the number of rounds on the page", "it is not there")
    page.write_text(changed, encoding="utf-8")
    story.tell("wrote 99 rounds on a copy of the page")
    call = [sys.executable, str(there / "tests" / "bench" / "page.py")]
    ran = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    story.check(ran.returncode == 1 and "rounds: the page says '99'" in ran.stdout,
                "page.py to find it", f"it says:\n{ran.stdout}")
    subprocess.run([*call, "--fill"], stdout=subprocess.PIPE, check=False)
    story.check(page.read_text(encoding="utf-8") == text, "--fill to write the right one again",
                "it did not")


# ---- the sources -----------------------------------------------------------------------------

@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", ["load.c", "bare_epoll.c"])
def test_the_load_and_the_floor_compile_without_a_warning(compiler: str, name: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    flags = "-std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only"
    made = subprocess.run([compiler, *flags.split(), str(BENCH / name)], stderr=subprocess.PIPE,
                          text=True, check=False)
    if made.returncode != 0:
        pytest.fail(made.stderr, pytrace=False)
