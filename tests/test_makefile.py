"""make, in copies of the repository: what it builds, what it builds again, and what it says."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterable

import pytest

from making import copy, make, surroundings
from support import facts
from support.chapters import CHAPTERS
from support.guests import PATIENCE
from support.story import Story

pytestmark = pytest.mark.ours_only("its Makefiles")

QUICK = "CFLAGS=-O0"  # these tests are about make, not about the compiler
FIRST = CHAPTERS[0].name
STAYS = {"Ctrl-C": "exec sleep 600", "a crash of the compiler": "exit 1"}


@pytest.fixture
def whole(tmp_path: Path, story: Story) -> Path:
    story.tell("copied the repository to another place")
    return copy(["Makefile", ".gitignore", *(chapter.name for chapter in CHAPTERS)],
                tmp_path / "repository")


@pytest.fixture
def alone(tmp_path: Path, story: Story) -> Path:
    story.tell(f"copied {FIRST} to another place")
    return copy([FIRST], tmp_path) / FIRST


def _make(story: Story, directory: Path, *arguments: str, **more: str) -> str:
    typed = " ".join(["make", *arguments])
    story.tell(f"typed {typed} in {directory.name}/")
    made = make(directory, *arguments, **more)
    story.check(made.returncode == 0, f"{typed} to succeed", f"it says:\n{made.stdout}")
    return made.stdout


def _built(lines: str) -> set[str]:
    """The names of the files that these commands have built: {"build/server.o", "server"}."""
    return set(re.findall(r" -o (\S+)$", lines, re.MULTILINE))


def _expect_built(story: Story, lines: str, *wanted: str) -> None:
    built = _built(lines)
    story.check(built == set(wanted), f"{' '.join(sorted(wanted)) or 'nothing'} to be built",
                f"this was: {' '.join(sorted(built)) or 'nothing'}")


def _files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")
            if not path.is_dir() or path.is_symlink()}


# ---- at the top ------------------------------------------------------------------------------

def test_a_chapters_name_leaves_its_programs_at_the_top(whole: Path, story: Story) -> None:
    for name in ("03-select", "04-epoll"):
        said = _make(story, whole, name, QUICK).splitlines()
        story.check("./server" in said[-2] and "./client" in said[-1],
                    "two lines at the end that say what to type next", f"they are: {said[-2:]}")
        for program in ("server", "client"):
            link, real = whole / program, whole / name / program
            story.check(link.resolve() == real, f"./{program} to be that of {name}",
                        f"it is {link.resolve()}")
            ran = subprocess.run([f"./{program}", "--help"], cwd=whole, stdout=subprocess.PIPE,
                                 check=False)
            story.check(ran.returncode == 0 and bool(ran.stdout), f"./{program} to run",
                        f"its exit status is {ran.returncode}")


def test_git_sees_nothing_of_what_is_built(whole: Path, story: Story) -> None:
    if not shutil.which("git"):
        pytest.skip("git is missing")
    git = ["git", "-c", "user.name=reader", "-c", "user.email=reader@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a copy"]):
        subprocess.run([*git, *command], cwd=whole, check=True)
    _make(story, whole, FIRST, QUICK)
    _make(story, whole, FIRST, QUICK, "SAN=address")
    seen = subprocess.run(["git", "status", "--porcelain"], cwd=whole, check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    story.check(not seen, "git status to be clean", f"it shows:\n{seen}")


def test_all_is_built_at_once_and_once_and_cleaned_away(whole: Path, story: Story) -> None:
    before = _files(whole)
    _make(story, whole, "-j2", QUICK)
    _make(story, whole, "-j2", QUICK, "04-epoll", "SAN=address")
    for chapter in CHAPTERS:
        for program in ("server", "client"):
            there = os.access(whole / chapter.name / program, os.X_OK)
            story.check(there, f"{chapter.name}/{program} to be there", "it is not")
    _expect_built(story, _make(story, whole, QUICK))
    _make(story, whole, "clean")
    story.check(_files(whole) == before, "make clean to remove all that was built",
                f"this is left: {sorted(_files(whole) - before)}")


def test_help_names_what_can_be_made(whole: Path, story: Story) -> None:
    said = _make(story, whole, "help")
    for word in ("03-select", "make test", "make clean", "SAN=", "CFLAGS", "CC"):
        story.check(word in said, f"'{word}' in what make help says", f"it says:\n{said}")
    told = set(re.findall(r"^(?!\.|all|help)([\w-]+):", (whole / "Makefile").read_text(),
                          re.MULTILINE))
    story.check({"test", "clean"} <= told, "the Makefile to have them", f"it has {told}")


@pytest.mark.parametrize("place", ["whole", "alone"])
def test_an_unknown_sanitizer_is_refused(request: pytest.FixtureRequest, story: Story,
                                         place: str) -> None:
    directory = request.getfixturevalue(place)
    before = _files(directory)
    target = FIRST if place == "whole" else "all"
    story.tell(f"typed make SAN=nonsense {target}")
    made = make(directory, "SAN=nonsense", target)
    story.check(made.returncode != 0, "make to fail", "it did not")
    story.check(re.search("address.*thread.*nonsense", made.stdout) is not None,
                "a line with what SAN may be, and what it is", f"it says:\n{made.stdout}")
    story.check(_files(directory) == before, "nothing to be built",
                f"this was: {_files(directory) - before}")


# ---- in a chapter ----------------------------------------------------------------------------

def test_a_second_make_builds_nothing(alone: Path, story: Story) -> None:
    lines = _make(story, alone, QUICK)
    story.check({"server", "client"} <= _built(lines), "server and client to be built",
                f"this was: {_built(lines)}")
    _expect_built(story, _make(story, alone, QUICK))


@pytest.mark.parametrize("changed", ["sockets.h", "client_exchange.h", "server.c"])
def test_a_change_rebuilds_what_includes_it_and_nothing_else(
        alone: Path, story: Story, changed: str) -> None:
    _make(story, alone, "-j2", QUICK)
    story.tell(f"changed {changed}")
    _touch(alone / changed, _newest(alone))
    users = _users(changed, alone.glob("*.[ch]"))
    ours = [name for name in users if name.startswith("client")]
    theirs = [name for name in users if name.startswith("server")]
    both = len(users) > len(ours) + len(theirs)
    programs = ["client"] * bool(ours or both) + ["server"] * bool(theirs or both)
    _expect_built(story, _make(story, alone, QUICK),
                  *(f"build/{name[:-2]}.o" for name in users), *programs)


def test_make_in_a_chapter_with_more_headers_knows_them_too(tmp_path: Path, story: Story) -> None:
    chapter = copy(["05-async-tasks"], tmp_path) / "05-async-tasks"
    _make(story, chapter, "-j2", QUICK)
    story.tell("changed plates.h")
    _touch(chapter / "plates.h", _newest(chapter))
    built = {name for name in _built(_make(story, chapter, QUICK)) if name.endswith(".o")}
    users = {f"build/{name[:-2]}.o" for name in _users("plates.h", chapter.glob("*.[ch]"))}
    story.check(built == users, f"these to be rebuilt: {sorted(users)}",
                f"these were: {sorted(built)}")


@pytest.mark.parametrize("variable", [QUICK + " -g", "CC=cc ", "LDFLAGS=-s"])
def test_another_compiler_or_flag_builds_all_anew(
        alone: Path, story: Story, variable: str) -> None:
    everything = _built(_make(story, alone, "-j2", QUICK))
    _expect_built(story, _make(story, alone, QUICK, variable), *everything)
    _expect_built(story, _make(story, alone, QUICK, variable))


@pytest.mark.parametrize("on", ["command line", "environment"])
def test_the_readers_compiler_and_flags_are_used(
        alone: Path, story: Story, tmp_path: Path, on: str) -> None:
    log, compiler = tmp_path / "log", tmp_path / "my-cc"
    compiler.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec cc "$@"\n')
    compiler.chmod(0o755)
    story.tell("wrote a compiler that notes how it is called")
    mine = {"CC": str(compiler), "CFLAGS": "-O0 -DMINE=1", "LDFLAGS": "-Wl,-O1"}
    if on == "environment":
        _make(story, alone, **mine)
    else:
        _make(story, alone, *(f"{name}={value}" for name, value in mine.items()))
    calls = log.read_text().splitlines()
    compiled = [call for call in calls if " -c " in call]
    linked = [call for call in calls if call.endswith(("-o server", "-o client"))]
    sources = len(list(alone.glob("*.c")))
    story.check(len(compiled) == sources and len(linked) == 2,
                f"{sources} files to be compiled and two programs to be linked by it",
                f"it compiled {len(compiled)} and linked {len(linked)}")
    for call in compiled + linked:
        story.check("-O0 -DMINE=1" in call, "CFLAGS in every call", f"one is: {call}")
    for call in linked:
        story.check("-Wl,-O1" in call, "LDFLAGS when it links", f"the call is: {call}")


def test_a_sanitizer_builds_beside_the_rest(alone: Path, story: Story) -> None:
    _make(story, alone, "-j2", QUICK)
    plain = (alone / "server").read_bytes()
    _expect_built_beside(story, _make(story, alone, "-j2", QUICK, "SAN=address"), "-address")
    story.check((alone / "server").read_bytes() == plain, "./server to stay as it was",
                "it was built again")
    symbols = (alone / "server-address").read_bytes()
    story.check(b"__asan_init" in symbols and b"__asan_init" not in plain,
                "a sanitizer in server-address only", "that is not so")
    _expect_built(story, _make(story, alone, QUICK))
    _expect_built(story, _make(story, alone, QUICK, "SAN=address"))


@pytest.mark.parametrize("trouble", ["Ctrl-C", "a crash of the compiler"])
def test_a_build_that_broke_off_is_finished_by_the_next(
        alone: Path, story: Story, tmp_path: Path, trouble: str) -> None:
    """While one object is half written, and others are done."""
    compiler, reached = tmp_path / "my-cc", tmp_path / "reached"
    compiler.write_text(f'''#!/bin/sh
case "$*" in
*"-c sockets.c"*) echo half >build/sockets.o; echo now >{reached}; {STAYS[trouble]};;
*) exec cc "$@";;
esac
''')
    compiler.chmod(0o755)
    call = ["make", "-j1", QUICK, f"CC={compiler}"]
    story.tell("typed make, with a compiler that writes half of sockets.o")
    making = subprocess.Popen(call, cwd=alone, env=surroundings(), start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        facts.eventually(lambda: reached.exists() or making.poll() is not None, PATIENCE)
        story.check(reached.exists(), "make to compile sockets.c", "it does not get there")
        story.tell(f"then came {trouble}")
        if trouble == "Ctrl-C":
            os.killpg(making.pid, signal.SIGINT)
        story.check(making.wait(PATIENCE) != 0, "make to end with an error", "it has none")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(making.pid, signal.SIGKILL)
        making.wait()
    compiler.write_text('#!/bin/sh\nexec cc "$@"\n')
    lines = _make(story, alone, QUICK, f"CC={compiler}")
    story.check("build/sockets.o" in _built(lines), "sockets.o to be built anew",
                f"these were: {_built(lines)}")
    ran = subprocess.run([str(alone / "client"), "--help"], stdout=subprocess.PIPE, check=False)
    story.check(ran.returncode == 0, "a client that runs", f"its exit status is {ran.returncode}")


def test_a_compiler_that_fails_fails_make_and_leaves_no_program(
        alone: Path, story: Story) -> None:
    source = alone / "server.c"
    source.write_text(source.read_text(encoding="utf-8") + "\nthis is not C\n", encoding="utf-8")
    story.tell("wrote a mistake into server.c, and typed make")
    made = make(alone, QUICK)
    story.check(made.returncode != 0 and not (alone / "server").exists(),
                "make to fail, and no server", f"it ended with {made.returncode}")


# ---- how ------------------------------------------------------------------------------------

def _expect_built_beside(story: Story, lines: str, suffix: str) -> None:
    wrong = [name for name in _built(lines)
             if not name.endswith(suffix) and not name.startswith(f"build{suffix}/")]
    story.check({f"server{suffix}", f"client{suffix}"} <= _built(lines) and not wrong,
                f"everything to be built as {suffix[1:]}", f"these were: {_built(lines)}")


def _newest(directory: Path) -> float:
    return max(path.stat().st_mtime for path in directory.rglob("*"))


def _touch(path: Path, after: float) -> None:
    """Newer than everything, whatever the clock's resolution: nobody has to sleep for it."""
    moment = max(time.time(), after + 1)
    os.utime(path, (moment, moment))


def _users(name: str, files: Iterable[Path]) -> list[str]:
    """The .c files that include it, by whatever way, or are it."""
    includes = {path.name: set(re.findall(r'^#include "(\S+)"', path.read_text(encoding="utf-8"),
                                          re.MULTILINE)) for path in files}
    reached = {name}
    while True:
        more = {file for file, headers in includes.items() if headers & reached} - reached
        if not more:
            return sorted(file for file in reached if file.endswith(".c"))
        reached |= more
