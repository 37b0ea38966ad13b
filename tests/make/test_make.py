"""make, in copies of the repository: what it builds, what it leaves alone, and what it says.

The compiler is a script that notes how it was called. That each chapter compiles is seen by
every other test; .ci/run does it with -Werror, with gcc and clang."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import proc
from harness.chapters import CHAPTERS, REPOSITORY, mirror
from harness.story import Story

pytestmark = pytest.mark.ours_only("its Makefiles")

COMPILER = """#!/bin/sh
# Before the last argument stands -o.
echo "$@" >>"{log}"
for last; do :; done
echo "#!/bin/sh" >"$last"
chmod +x "$last"
"""
NAMES = [chapter.name for chapter in CHAPTERS]


def make(story: Story, directory: Path, *arguments: str, fails: bool = False,
         **env: str) -> str:
    """Returns what it says on stdout and stderr."""
    typed = " ".join([*(f"{name}={value}" for name, value in env.items()), "make", *arguments])
    story.tell(f"typed {typed} in {directory.name}/")
    made = proc.run(["make", *arguments], env, cwd=directory, within=300,
                    stderr=subprocess.STDOUT)
    story.check((made.returncode != 0) == fails, f"{typed} to {'fail' if fails else 'succeed'}",
                f"it says:\n{made.stdout}")
    return made.stdout


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")
            if path.is_symlink() or not path.is_dir()}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A copy of the repository without its tests, in a folder with a blank in its name."""
    copy = tmp_path / "a copy"
    for name in NAMES:
        mirror(REPOSITORY / name, copy / name)
    (copy / "Makefile").write_bytes((REPOSITORY / "Makefile").read_bytes())
    return copy


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """Its calls are noted beside it, in compiler.log."""
    path = tmp_path / "compiler"
    path.write_text(COMPILER.format(log=path.with_suffix(".log")))
    path.chmod(0o755)
    return path


def assert_same(one: str, other: str, *names: str) -> None:
    for name in names:
        same = (REPOSITORY / one / name).read_bytes() == (REPOSITORY / other / name).read_bytes()
        assert same, f"diff {one}/{name} {other}/{name}"


def test_what_chapters_share_is_the_same_text_in_each():
    """common/; the connection and conversation of 03 and 04; and open_listener() in 01 to 04,
    from its comment to the closing brace, so that `diff` never shows it."""
    for name in NAMES:
        parts = files(REPOSITORY / NAMES[0] / "common") | files(REPOSITORY / name / "common")
        assert_same(NAMES[0], name, *(f"common/{part}" for part in parts))
    assert_same("03-select", "04-epoll", "connection.c", "connection.h", "conversation.c",
                "conversation.h")
    listeners = {re.search(r"/\* Listens on the first .*?^static int open_listener.*?^}",
                           (REPOSITORY / name / "server.c").read_text(), re.M | re.S)[0]
                 for name in NAMES[:4]}
    assert len(listeners) == 1, "open_listener() is not the same in 01 to 04"


@pytest.mark.parametrize("where", ["command line", "environment"])
def test_a_chapter_copied_elsewhere_builds_once_with_the_readers_compiler_and_flags(
        chapter, story, compiler, tmp_path, where):
    alone = mirror(chapter.directory, tmp_path / "elsewhere" / chapter.name)
    mine = {"CC": str(compiler), "CFLAGS": "-O0 -DMINE=1", "LDFLAGS": "-Wl,-O1"}
    words = [f"{name}={value}" for name, value in mine.items()] if where == "command line" else []
    said = make(story, alone, "-s", *words, **({} if words else mine))
    story.check(not said, "not a word", f"it says:\n{said}")
    story.check("Nothing to be done" in make(story, alone, *words),
                "a second make to build nothing", "it builds something")
    noted = compiler.with_suffix(".log").read_text().splitlines()
    calls = [call for call in noted if call.endswith(("-o server", "-o client"))]
    story.check(len(calls) == 2, "one call for each program", f"there are {len(calls)}")
    for call in calls:
        story.check("-O0 -DMINE=1" in call and "-Wl,-O1" in call, "CFLAGS and LDFLAGS in it",
                    f"it is: {call}")


def test_a_compiler_that_fails_makes_make_fail_and_leaves_no_program(chapter, story, tmp_path):
    alone = mirror(chapter.directory, tmp_path / chapter.name)
    make(story, alone, "CC=false", "server", fails=True)
    story.check(not (alone / "server").exists(), "no server", "there is one")


def test_a_chapters_name_leaves_its_programs_at_the_top(whole, story, compiler):
    for name in ("03-select", "04-epoll"):
        said = make(story, whole, name, f"CC={compiler}").splitlines()
        story.check("./server" in said[-2] and "./client" in said[-1],
                    "two lines at the end that say what to type next", f"they are {said[-2:]}")
        for program in ("server", "client"):
            story.check((whole / program).resolve() == whole / name / program,
                        f"./{program} to be that of {name}", "it is another one")


def test_all_is_built_from_scratch_and_cleaned_away(whole, story, compiler):
    """Also with what a reader's shell exports, and beside a copy that a reader has made."""
    env = {"CDPATH": "/tmp", "SANITIZE": "1", "SUFFIX": ".bak", "SAN": "address",
           "MAKEFLAGS": "-j8"}
    (whole / NAMES[0] / "server_mine.c").write_text("this is not C\n")
    before = files(whole)
    make(story, whole, "clean", "all", f"CC={compiler}", **env)
    for name in NAMES:
        for program in ("server", "client"):
            story.check(os.access(whole / name / program, os.X_OK), f"{name}/{program}", "none")
    make(story, whole, "clean", **env)
    story.check(files(whole) == before, "make clean to remove all that was built",
                f"this is left: {sorted(files(whole) - before)}")


@pytest.mark.parametrize("place", [".", NAMES[0]])
def test_elsewhere_than_on_linux_it_says_so(whole, story, place):
    (whole / "uname").write_text("#!/bin/sh\necho Darwin\n")
    (whole / "uname").chmod(0o755)
    said = make(story, whole / place, fails=True, PATH=f"{whole}:{os.environ['PATH']}")
    story.check(len(said.splitlines()) == 1 and "need" in said and "Linux" in said,
                "one line that says what it needs", f"it says:\n{said}")


def test_help_names_what_can_be_made(whole, story):
    said = make(story, whole, "help")
    for word in ("make 03-select", "make check-03", "make test", "make clean", "CFLAGS", "CC"):
        story.check(word in said, f"'{word}' in what make help says", f"it says:\n{said}")
