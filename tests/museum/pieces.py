"""The wrong programs, as the heads of their sources describe them.

    python3 tests/museum/pieces.py        writes the table of docs/museum.md anew
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

MUSEUM = Path(__file__).resolve().parent
REPOSITORY = MUSEUM.parents[1]
PAGE = REPOSITORY / "docs" / "museum.md"
TABLE = re.compile(r"(?<=<!-- written by tests/museum/pieces\.py -->\n).*?(?=<!-- end -->)",
                   re.DOTALL)
HEAD = re.compile(r"/\* (?P<name>\w+)\.c: (?P<title>.*?)\n \*\n \* Wrong: (?P<wrong>.*?)"
                  r"\n \* Seen: (?P<seen>.*?)\n \* Expect: (?P<expect>.*?)"
                  r"\n \* Caught by: (?P<test>\S+)\n \*/\n", re.DOTALL)


class Piece(NamedTuple):
    source: Path
    wrong: str
    expect: str  # a sentence of the failing test
    test: str  # tests/server/test_echo.py::test_name

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def kind(self) -> str:
        return self.source.parent.name.rstrip("s")


def piece(source: Path) -> Piece:
    head = HEAD.match(source.read_text("utf-8"))
    assert head and head["name"] == source.stem, f"{source} does not begin as the others do"
    wrong, expect = (re.sub(r"\n \* ?", " ", head[part]) for part in ("wrong", "expect"))
    return Piece(source, wrong, expect, head["test"])


PIECES = [piece(source) for kind in ("servers", "clients")
          for source in sorted((MUSEUM / kind).glob("*.c"))]


def table() -> str:
    rows = ["| piece | what is wrong | what you see | caught by |", "|---|---|---|---|"]
    for piece in PIECES:
        file, _, test = piece.test.partition("::")
        sentence = test.removeprefix("test_").replace("_", " ")
        source = piece.source.relative_to(REPOSITORY)
        rows.append(f"| [{piece.name}](../{source}) | {piece.wrong} | `{piece.expect}` "
                    f"| [{sentence}](../{file}) |")
    return "\n" + "\n".join(rows) + "\n\n"


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text("utf-8")), "utf-8")
