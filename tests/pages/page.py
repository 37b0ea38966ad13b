"""The pages of the book, cut into the pieces that the tests look at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


@dataclass
class Block:
    """A fenced block: the words after the fence, its lines, and where the first one stands."""
    words: list[str]
    lines: list[str]
    line: int


class Page:
    def __init__(self, name: str) -> None:
        self.name = name
        self.path = TOP / name
        self.text = self.path.read_text(encoding="utf-8")
        self.blocks: list[Block] = []
        prose = []
        block = None
        for number, line in enumerate(self.text.splitlines(), start=1):
            fence = re.match(r"```(.*)", line)
            if fence and block is None:
                block = Block(fence[1].split(), [], number + 1)
                self.blocks.append(block)
            elif fence:
                block = None
            elif block is not None:
                block.lines.append(line)
            prose.append("" if fence or block else line)
        self.prose = prose  # line by line, with empty lines in place of the blocks

    def blocks_of(self, language: str) -> list[Block]:
        return [block for block in self.blocks if block.words[:1] == [language]]

    @property
    def chapter(self) -> Path:
        """The directory whose sources this page speaks of: its chapter, or everything."""
        first = TOP / Path(self.name).parts[0]
        return first if re.match(r"\d\d-", first.name) else TOP

    def complain(self, line: int, what: str) -> str:
        return f"{self.name}:{line}: {what}"


def page_names() -> list[str]:
    found = [path for pattern in ("*.md", "[0-9]*/**/*.md", "docs/**/*.md", "tests/**/*.md")
             for path in TOP.glob(pattern)]
    return sorted(str(path.relative_to(TOP)) for path in found
                  if not any(part.startswith(".") for part in path.relative_to(TOP).parts))


def sources(directory: Path) -> dict[str, list[str]]:
    """Every C file below a directory, by its name as seen from there."""
    return {str(path.relative_to(directory)): path.read_text(encoding="utf-8").splitlines()
            for path in sorted(directory.rglob("*.[ch]"))
            if not any(part.startswith(".") for part in path.relative_to(TOP).parts)}


def pieces(lines: list[str]) -> list[list[str]]:
    """What stands between the lines that say `...` (they leave something out)."""
    cut: list[list[str]] = [[]]
    for line in lines:
        if re.fullmatch(r"\s*(\.\.\.|/\* \.\.\. \*/)", line):
            cut.append([])
        else:
            cut[-1].append(line)
    return [piece for piece in cut if piece]


def stands_in(snippet: list[str], text: list[str]) -> bool:
    """Whether the pieces of the snippet are consecutive lines of the text, in this order."""
    at = 0
    for piece in pieces(snippet):
        while text[at:at + len(piece)] != piece:
            at += 1
            if at + len(piece) > len(text):
                return False
        at += len(piece)
    return True
