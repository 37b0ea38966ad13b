"""The shape of the repository: what stands where, what is shared, and how the code looks.

Every chapter is complete in itself, so what they share stands in each of them, byte for byte.
A file that differs is a lesson: its name is listed here too.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest

from making import committed, copy, make
from support.chapters import CHAPTERS, REPOSITORY, Chapter
from support.guests import PATIENCE, Guest
from support.servers import LISTENING, Drain
from support.story import Story

pytestmark = pytest.mark.ours_only("its code")

TOP = {"README.md", "Makefile", "tests", "docs"} | {chapter.name for chapter in CHAPTERS}

ALL, TO_04, FROM_02, FROM_03, FROM_04 = "12345", "1234", "2345", "345", "45"
SHARED = {
    "Makefile": ALL,
    "process.c": ALL, "process.h": ALL,
    "sockets.c": ALL, "sockets.h": ALL,
    "options.c": ALL, "options.h": ALL,
    "client_check.c": ALL, "client_check.h": ALL,
    "client.c": TO_04, "client.h": TO_04,
    "client_exchange.c": TO_04, "client_exchange.h": TO_04,
    "client_window.c": FROM_02, "client_window.h": FROM_02,
    "client_visit.c": "34", "client_visit.h": "34",
    "clock.c": FROM_02, "clock.h": FROM_02,
    "plates.c": FROM_04, "plates.h": FROM_04,
}
# One name, another technique in each chapter.
LESSONS = {
    "README.md", "server.c", "server_guests.c", "server_guests.h", "server_signals.c",
    "server_signals.h", "client_talk.c", "client_crowd.c",
}

COLUMNS = 90
LINES_OF_A_FILE = 300
LINES_OF_SERVER_C = 200
LINES_OF_THE_FIRST_SERVER_C = 99
LINES_OF_A_FUNCTION = 50


def _files_of(chapter: Chapter) -> dict[str, Path]:
    paths = (REPOSITORY / name for name in committed() if name.startswith(f"{chapter.name}/"))
    return {str(path.relative_to(chapter.directory)): path for path in paths}


def _code_of(chapter: Chapter) -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in _files_of(chapter).items()
            if name.endswith((".c", ".h"))}


def _expect_none(found: list[str], unwanted: str) -> None:
    if found:
        pytest.fail("\n  ".join([f"{unwanted}:", *found]), pytrace=False)


# ---- what stands where ---------------------------------------------------------------------

def test_the_top_level_holds_what_the_table_says() -> None:
    here = {name.split("/")[0] for name in committed() if not name.startswith(".")}
    _expect_none(sorted(here - TOP), "nobody expects this at the top level")
    _expect_none(sorted(TOP - here), "this is missing at the top level")


def _homes() -> dict[str, str]:
    """The chapters in which a name stands: {"server.c": "12345"}."""
    homes: dict[str, str] = defaultdict(str)
    for number, chapter in enumerate(CHAPTERS, 1):
        for name in _files_of(chapter):
            homes[name] += str(number)
    return homes


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_file_is_the_same_everywhere(name: str) -> None:
    texts = {chapter.name: (chapter.directory / name).read_bytes()
             for number, chapter in enumerate(CHAPTERS, 1) if str(number) in SHARED[name]}
    first, *others = texts
    _expect_none([f"diff {first}/{name} {other}/{name}" for other in others
                  if texts[other] != texts[first]], "shared, and yet not the same")


def test_a_name_in_two_chapters_is_shared_or_a_lesson() -> None:
    found = []
    for name, homes in sorted(_homes().items()):
        beyond = set(homes) - set(SHARED.get(name, ""))  # as client.c in 05
        if name in SHARED and set(SHARED[name]) - set(homes):
            found.append(f"{name} is missing in {set(SHARED[name]) - set(homes)}")
        if len(homes) > 1 and name not in LESSONS and len(beyond) > (name in SHARED):
            found.append(f"{name} in chapters {', '.join(homes)}")
    _expect_none(found, "neither in the table SHARED nor among the LESSONS")


def test_no_file_names_a_place_that_only_its_author_has() -> None:
    private = re.compile("|".join((r"/wor" r"k/", "bash_" "jobs", r"/hom" r"e/\w")))
    found = []
    for name in committed():
        try:
            text = (REPOSITORY / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, not a text
        found += [f"{name}:{number}: {line.strip()[:80]}"
                  for number, line in enumerate(text.splitlines(), 1) if private.search(line)]
    _expect_none(found, "a path that no reader has")


# ---- a chapter alone ------------------------------------------------------------------------

def test_a_chapter_copied_alone_builds_without_a_warning_and_serves(
        chapter: Chapter, story: Story, tmp_path: Path) -> None:
    """With gcc and optimised: some warnings come from the optimiser only."""
    alone = copy([chapter.name], tmp_path) / chapter.name
    story.tell(f"copied {chapter.name}, and nothing else, to another place")
    compiler = "gcc" if shutil.which("gcc") else "cc"
    made = make(alone, "-s", "-j2", f"CC={compiler}", "CFLAGS=-O2 -Werror")
    story.check(made.returncode == 0 and not made.stdout, "make to build it without a word",
                f"it says:\n{made.stdout}")
    server = subprocess.Popen([str(alone / "server"), "--port", "0"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        drain = Drain(server.stdout)
        drain.wait_for(lambda text: LISTENING.search(text) is not None, PATIENCE)
        found = LISTENING.search(drain.text)
        if found is None:
            story.fail("its server to listen", f"it says: {drain.text!r}")
        guest = Guest(story, ("127.0.0.1", int(found[2])))
        guest.knock()
        guest.step_in()
        guest.say(b"Hello, Tokio!")
        guest.leave()
    finally:
        server.kill()
        server.wait()
        drain.finish()


# ---- how the code looks ---------------------------------------------------------------------

@dataclass(frozen=True)
class Function:
    where: str
    name: str
    lines: int  # from the first line of its head to the brace that ends it


# A definition begins at column 0; its body is from a brace at column 0 to the next.
FUNCTION = re.compile(r"^(?!(?:struct|union|enum)\b[^(]*$)([a-z_][^;{}=]*)\n\{\n(.*?)^\}",
                      re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def _functions(chapter: Chapter) -> Iterator[Function]:
    for file, text in _code_of(chapter).items():
        plain = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
        for found in FUNCTION.finditer(plain):
            head = re.sub(r"__attribute__\(\(.*?\)\)\s", "", found[1])
            name = re.search(r"(\w+)\(", head)
            assert name, f"{file}: {found[0][:80]}"
            line = plain.count("\n", 0, found.start()) + 1
            yield Function(f"{chapter.name}/{file}:{line}", name[1], found[0].count("\n") + 1)


def test_lines_fit_beside_an_explanation(chapter: Chapter) -> None:
    found = []
    for file, text in _code_of(chapter).items():
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{chapter.name}/{file}:{number}"
            found += [f"{where}: {len(line)} columns"] if len(line) > COLUMNS else []
            found += [f"{where}: a tab"] if "\t" in line else []
            found += [f"{where}: blanks at its end"] if line != line.rstrip() else []
        if not text.endswith("\n") or text.endswith("\n\n"):
            found.append(f"{chapter.name}/{file}: it should end with one newline")
    _expect_none(found, f"more than {COLUMNS} columns, a tab, or trailing blanks")


def test_no_file_is_too_long_to_be_read(chapter: Chapter) -> None:
    found = []
    for file, text in _code_of(chapter).items():
        most = LINES_OF_A_FILE
        if file == "server.c":
            first = chapter.name == "01-blocking"
            most = LINES_OF_THE_FIRST_SERVER_C if first else LINES_OF_SERVER_C
        lines = len(text.splitlines())
        found += [f"{chapter.name}/{file}: {lines} lines, of {most}"] if lines > most else []
    _expect_none(found, "too long")


def test_no_function_is_too_long_to_be_understood(chapter: Chapter) -> None:
    functions = list(_functions(chapter))
    braces = sum(text.count("\n{\n") for text in _code_of(chapter).values())
    assert len(functions) == braces, "this test does not see every function"
    _expect_none([f"{function.where}: {function.name} has {function.lines} lines"
                  for function in functions if function.lines > LINES_OF_A_FUNCTION],
                 f"more than {LINES_OF_A_FUNCTION} lines")


def test_functions_are_neither_heaps_nor_crumbs() -> None:
    lengths = [function.lines for chapter in CHAPTERS for function in _functions(chapter)]
    half = statistics.median(lengths)
    most = statistics.quantiles(lengths, n=10)[-1]
    assert 6 <= half <= 16, f"half of the {len(lengths)} functions have more than {half} lines"
    assert most < 40, f"a tenth of the {len(lengths)} functions has more than {most} lines"


def _share_of_comments(text: str) -> float:
    """Of the lines that are not blank, those that hold at least a part of a comment."""
    marked = COMMENT.sub(lambda found: re.sub(r"[^\n]+", "\0", found[0]), text)
    written = [line for line in marked.splitlines() if line.strip()]
    return sum("\0" in line for line in written) / len(written)


def test_the_code_is_explained_but_not_buried(chapter: Chapter) -> None:
    code = _code_of(chapter)
    sources = "".join(text for file, text in code.items() if file.endswith(".c"))
    headers = "".join(text for file, text in code.items() if file.endswith(".h"))
    share = _share_of_comments(sources)
    assert 0.05 <= share <= 0.35, f"{share:.0%} of the lines in .c files are comments"
    share = _share_of_comments(headers)
    assert 0.20 <= share <= 0.65, f"{share:.0%} of the lines in .h files are comments"


def test_every_function_in_a_header_is_explained_above_it(chapter: Chapter) -> None:
    """Or stands in a group, without a blank line in it, that begins with a comment."""
    found = []
    for file, text in _code_of(chapter).items():
        if not file.endswith(".h"):
            continue
        text = re.sub(r"(?<=\{\n)(?:    .*\n|\n)*(?=\})", "", text)  # bodies of structs
        for group in re.split(r"\n\s*\n", text):
            declared = re.search(r"^(?!typedef|static|#)[a-z_]\w*[\w *]*?(\w+)\([^)]", group,
                                 re.MULTILINE)
            if declared and not group.lstrip().startswith("/*"):
                found.append(f"{chapter.name}/{file}: {declared[1]}")
    _expect_none(found, "declared without a comment above")


def test_clang_has_no_warning_either(chapter: Chapter) -> None:
    """With the flags of the Makefile, as make would call it for each file."""
    if not shutil.which("clang"):
        pytest.skip("clang is missing")
    shown = make(chapter.directory, "-n", "-B", "CC=clang", "CFLAGS=-O2 -Werror").stdout
    compile_one = re.search(r"^(clang .*) -MMD .* -c ", shown, re.MULTILINE)
    assert compile_one, f"make -n shows no compilation:\n{shown}"
    sources = sorted(name for name in _files_of(chapter) if name.endswith(".c"))
    made = subprocess.run([*compile_one[1].split(), "-fsyntax-only", *sources], check=False,
                          cwd=chapter.directory, stderr=subprocess.PIPE, text=True)
    if made.returncode != 0 or made.stderr:
        pytest.fail(made.stderr, pytrace=False)
