"""The tests, tested: each wrong program fails the test that is about its mistake, and the
reader is told so in a sentence that stands in the program's head. A right program passes the
same tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

from harness import proc
from harness.chapters import CHAPTERS, COMPILER, building_place, locked, program
from museum import pieces
from museum.pieces import MUSEUM, PIECES, REPOSITORY, Piece

QUICK = ("short_write", "dies_at_reset", "one_read_per_message")  # the others are thorough
FLAGS = "-std=c11 -O2 -Wall -Wextra -pthread -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2".split()
RIGHT = {"server": "server --quiet --port {port}", "client": "client --port {port} -"}

each_piece = pytest.mark.parametrize("piece", [
    pytest.param(piece, id=piece.name, marks=[] if piece.name in QUICK else pytest.mark.thorough)
    for piece in PIECES])


@each_piece
def test_a_wrong_program_is_caught(piece: Piece) -> None:
    run = run_tests(piece.kind, f"{quote(str(built(piece)))} {{port}}", piece.test, patience=3)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    assert " ".join(piece.expect.split()) in " ".join(run.stdout.split()), run.stdout


@each_piece
def test_a_right_program_passes_where_it_is_caught(piece: Piece) -> None:
    """Called as a foreign program, as the wrong ones are."""
    name, _, options = RIGHT[piece.kind].partition(" ")
    command = f"{quote(str(program(CHAPTERS[3], name)))} {options}"
    run = run_tests(piece.kind, command, piece.test, patience=15)
    assert run.returncode == 0 and " passed" in run.stdout, run.stdout


def test_the_page_says_what_the_heads_of_the_files_say() -> None:
    page = pieces.PAGE.read_text("utf-8")
    assert pieces.table() in page, "python3 tests/museum/pieces.py writes docs/museum.md anew"


def built(piece: Piece) -> Path:
    home = building_place() / "museum"
    home.mkdir(parents=True, exist_ok=True)
    to = home / piece.name
    with locked(home / "lock"):
        inputs = (piece.source, MUSEUM / "right.h")
        if not to.exists() or to.stat().st_mtime < max(path.stat().st_mtime for path in inputs):
            made = proc.run([*COMPILER, *FLAGS, str(piece.source), "-o", str(to)], within=120)
            assert made.returncode == 0, made.stderr
    return to


def run_tests(kind: str, command: str, test: str,
              patience: float) -> subprocess.CompletedProcess[str]:
    """This suite, on a program of somebody else."""
    run = proc.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p",
                    "no:randomly", f"--{kind}", command, "--promise", "clean_end",
                    str(REPOSITORY / test)],
                   cwd=REPOSITORY, env={"TEST_PATIENCE": str(patience)}, within=300)
    if run.returncode == 0 and re.search("not possible here|no such network here", run.stdout):
        pytest.skip("it needs a network namespace of its own")
    return run
