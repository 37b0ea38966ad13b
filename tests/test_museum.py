"""The tests, tested: each wrong program of the museum must fail the one test that is about its
mistake, with the very words that stand in museum/golden; and one that is right must pass, in
any language. (That the five chapters pass is what the rest of the suite says.)

    MUSEUM=write pytest tests/test_museum.py       writes the golden words, and docs/museum.md

What a piece is, whom it bit and who catches it stand in the head of its source.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable, Iterator

import pytest

from support import machine
from support.chapters import REPOSITORY
from support.inner_pytest import Outcome, run_tests
from support.story import Story
from support_clients.namespaces import unshare

TESTS = Path(__file__).parent
MUSEUM = TESTS / "museum"
PAGE = REPOSITORY / "docs" / "museum.md"
WRITE = os.environ.get("MUSEUM") == "write"

AT_ONCE = 3  # most of a piece's time is spent in waiting

pytestmark = pytest.mark.ours_only("these tests are about the tests")


# ---- the pieces -----------------------------------------------------------------------------

HEAD = re.compile(r"/\* (\w+)\.c: (.*?)\n \*\n \* Room: (\w+)\n \* The bug: (.*?)"
                  r"\n \* Whom it bit: (.*?)\n \* Caught by: (\w+)(?:,(?:\n \*)? ([\w-]+))?\n \*/", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    name: str
    kind: str  # "server" or "client"
    title: str
    room: str  # where it stands in docs/museum.md
    bug: str
    bitten: str
    test: str
    case: str  # the id of one of the test's parameters, or nothing

    @property
    def source(self) -> Path:
        return MUSEUM / f"{self.kind}s" / f"{self.name}.c"

    @property
    def golden(self) -> Path:
        return MUSEUM / "golden" / f"{self.name}.txt"

    @property
    def file(self) -> Path:
        """The tests that hold the one that catches it."""
        return _files_of_tests()[self.test]

    @property
    def control(self) -> str:
        """A test that it passes: it is wrong in one thing only."""
        return "test_a_line_comes_back" if self.kind == "client" else "test_one_message_comes_back"


@lru_cache(maxsize=None)
def _files_of_tests() -> dict[str, Path]:
    return {name: path for path in sorted(TESTS.glob("test_*.py"))
            for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}


def _piece(path: Path) -> Piece:
    head = HEAD.match(path.read_text(encoding="utf-8"))
    assert head and head[1] == path.stem, f"{path} does not begin as the others do"
    _, title, room, bug, bitten, test, case = (
        re.sub(r"\n \*\s*", " ", part or "") for part in head.groups())
    return Piece(path.stem, path.parent.name.rstrip("s"), title, room, bug, bitten, test, case)


PIECES = [_piece(path) for kind in ("servers", "clients")
          for path in sorted((MUSEUM / kind).glob("*.c"))]

# What a machine may lack.
NEEDS: dict[str, Callable[[], object]] = {
    "meets_itself": lambda: unshare("--net"),
    "spoils_the_terminal": machine.needs_terminals,
}

every_piece = pytest.mark.parametrize("piece", [
    pytest.param(piece, id=f"museum-{piece.name.replace('_', '-')}") for piece in PIECES])


# ---- each is caught -------------------------------------------------------------------------

@every_piece
def test_a_wrong_program_fails_where_it_is_wrong(
        story: Story, visits: dict[Piece, Future[Outcome]], piece: Piece) -> None:
    NEEDS.get(piece.name, lambda: None)()
    outcome = visits[piece].result()
    story.tell(f"ran {outcome.command}")
    wanted = Counter(failed=1) if piece.test == piece.control else Counter(passed=1, failed=1)
    story.check(outcome.counts == wanted,
                f"{piece.control} to pass, and {piece.test} to fail", f"it says:\n{outcome.output}")
    words = normal(outcome.failure)
    golden = piece.golden.read_text(encoding="utf-8") if piece.golden.exists() else ""
    if WRITE and not same(golden, words):
        piece.golden.parent.mkdir(exist_ok=True)
        piece.golden.write_text(words, encoding="utf-8")
        golden = words
    story.check(same(golden, words), f"the words of museum/golden/{piece.golden.name}",
                "the words differ:\n" + "".join(difflib.unified_diff(
                    golden.splitlines(True), words.splitlines(True), "expected", "said")))


# What may differ from one run to the next, or from one machine to the next.
VARYING = [
    (r"/\S*/museum/build/", "./"),
    (r"LD_PRELOAD=\S+/", "LD_PRELOAD="),
    (r"\S*python3? \S+/asyncio_echo\.py", "asyncio_echo.py"),
    (r"(?<=sent )\d+ bytes and read none", "N bytes and read none"),
    (r"\d+ (more )?bytes(?= of echo| too early)", r"N \1bytes"),
    (r"(?<=goodbye after )\d+ bytes", "N bytes"),
    (r"(?<=sent )\d+ MiB in all", "N MiB in all"),
    (r"(?<=grew by )\d+", "N"),
    (r"\b[1-4]\d{4}\b(?! bytes| more bytes)", "PORT"),
    (r"\d+%", "N%"),
    (r"\b\d+(?= are open| zombies)", "N"),
    (r"(?<=it wrote )\d+", "N"),
    (r"\bbyte \d+ to come back as 0x\w\w,\nbut it came back as 0x\w\w in .*",
     "byte N to come back as 0xNN,\nbut it came back as 0xNN in '...'."),
    (r"(?m)^(.*)(?:\n\1)+$", r"\1"),
    (r"(?m)[ \t]+$", ""),
]


def normal(words: str) -> str:
    for varies, stands_for_it in VARYING:
        words = re.sub(varies, stands_for_it, words)
    return words.strip() + "\n"


def same(golden: str, words: str) -> bool:
    """In a golden file "..." stands for what depends on who was quicker: a part of a line, or,
    alone in its line, any number of lines."""
    pattern = re.escape(golden)
    pattern = re.sub(r"(?m)^\\.\\.\\.$\n?", r"(?:.*\\n)*?", pattern.replace("\\\n", "\n"))
    return re.fullmatch(pattern.replace(r"\.\.\.", ".*"), words) is not None


@pytest.fixture(scope="module")
def visits(request: pytest.FixtureRequest, museum: Path) -> Iterator[dict[Piece, Future[Outcome]]]:
    """Each piece for which a test is going to ask, on its way through its two tests. A few at
    a time: they wait more than they work."""
    test = test_a_wrong_program_fails_where_it_is_wrong.__name__
    wanted = [item.callspec.params["piece"] for item in request.session.items
              if isinstance(item, pytest.Function) and item.originalname == test]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {piece: pool.submit(_visit, museum, piece) for piece in wanted}


def _visit(museum: Path, piece: Piece) -> Outcome:
    catching = f"{piece.test} and {piece.case}" if piece.case else piece.test
    files = {_files_of_tests()[piece.control], piece.file}
    return run_tests(piece.kind, f"{museum / piece.name} {{port}}",
                     f"{piece.control} or ({catching})", sorted(files), patience="1.5")


@pytest.fixture(scope="session")
def museum() -> Path:
    made = subprocess.run(["make", "-s", "-j2", "-C", str(MUSEUM)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        pytest.fail(f"the museum cannot be built:\n{made.stdout}", pytrace=False)
    return MUSEUM / "build"


# ---- the page -------------------------------------------------------------------------------

ROOM = re.compile(r"(?<=<!-- room: )(\w+)( -->\n).*?(?=<!-- /room -->)", re.DOTALL)


def test_the_page_tells_what_the_sources_tell() -> None:
    page = PAGE.read_text(encoding="utf-8")
    true = ROOM.sub(lambda room: room[1] + room[2] + _table(room[1]), page)
    if WRITE:
        PAGE.write_text(true, encoding="utf-8")
        page = true
    left_out = {piece.room for piece in PIECES} - {room[1] for room in ROOM.finditer(page)}
    if page != true or left_out:
        wrong = "".join(difflib.unified_diff(page.splitlines(True), true.splitlines(True),
                                             "docs/museum.md", "the sources"))
        pytest.fail(f"MUSEUM=write pytest tests/test_museum.py mends it:\n{wrong}"
                    f"rooms that are missing: {left_out or 'none'}", pytrace=False)


def _table(room: str) -> str:
    rows = ["| piece | the bug | whom it bit | caught by | and the reader is told |",
            "|---|---|---|---|---|"]
    rows += [_row(piece) for piece in PIECES if piece.room == room]
    return "\n".join(rows) + "\n"


def _row(piece: Piece) -> str:
    source, tests = (f"../{path.relative_to(REPOSITORY)}" for path in (piece.source, piece.file))
    words = f"../{piece.golden.relative_to(REPOSITORY)}"
    test = piece.test.removeprefix("test_").replace("_", " ")
    case = f" ({piece.case.replace('_', ' ')})" if piece.case else ""
    is_a_name = "(" in piece.bug.split()[0]
    bug = piece.bug if is_a_name else piece.bug[0].upper() + piece.bug[1:]
    cells = [f"[{_plain(piece.name)}]({source}): {_plain(piece.title)}", _plain(bug),
             _plain(piece.bitten), f"[{test}]({tests}){case}",
             f"{_plain(_end(piece))} [All of it]({words})"]
    return f"| {' | '.join(cells)} |"


def _end(piece: Piece) -> str:
    """How the story ends: the best of it."""
    words = piece.golden.read_text(encoding="utf-8")
    expected = re.search(r"^expected (.+?,)\n(but .+?)$", words, re.MULTILINE)
    ended = re.search(r"^The server .* ended (with .+?)\.$", words, re.MULTILINE)
    if expected and " ..." not in expected[0]:
        return f"Expected {expected[1]} {expected[2][:120].rstrip('.')}."
    if ended:
        return f"The server ended {ended[1]}."
    return "It depends on who was quicker."


def _plain(words: str) -> str:
    """Words that mark nothing up."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", words)
