"""A page of the project, and the files that it may speak of."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

TOP = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "[0-9][0-9]-*/README.md", "docs/*.md")



@dataclass
class Problem:
    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page} line {self.line}: {self.text}"


class WrongPage(Exception):
    """A page asks for what cannot be: raised where no Problem can be returned."""


def files_of(top: Path) -> list[str]:
    """What a clone would hold, and what is about to be committed; nothing that was built."""
    if (top / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=top,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if listed.returncode == 0:
            names = sorted(set(listed.stdout.decode().split("\0")) - {""})
            return [name for name in names if os.path.lexists(top / name)]
    built = re.compile(r"(build.*|\.git|\.venv|__pycache__|\.pytest_cache"
                       r"|(server|client)(-address|-thread)?)")
    names = []
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not built.fullmatch(name))
        names += [os.path.relpath(os.path.join(folder, name), top)
                  for name in sorted(files) if not built.fullmatch(name)]
    return names


@dataclass
class Block:
    """What stands between two fences; line is that of the opening one."""
    line: int
    language: str
    words: list[str]
    lines: list[str]
    typed: list[str] = field(default_factory=list)

    def numbered(self) -> Iterator[tuple[int, str]]:
        return ((self.line + 1 + i, text) for i, text in enumerate(self.lines))


class Page:
    def __init__(self, name: str, top: Path = TOP) -> None:
        self.name, self.top = name, top
        self.text = (top / name).read_text(encoding="utf-8")
        self.folder = posixpath.dirname(name)
        self.chapter = self.folder if re.match(r"\d\d-", self.folder) else ""
        self.files = files_of(top)
        self.blocks: list[Block] = []
        self.prose = self._read()  # the text with its blocks blanked out: offsets stay

    def _read(self) -> str:
        prose: list[str] = []
        fence, block = "", None
        before = ""
        for number, line in enumerate(self.text.splitlines(keepends=True), 1):
            mark = re.match(r"(\s*)(`{3,}|~{3,})\s*([^`\n]*)$", line)
            if block is None and not mark:
                prose.append(line)
                before = line if line.strip() else before
                continue
            prose.append(re.sub(r"[^\n]", " ", line))
            if block is None and mark:
                words = mark[3].split()
                typed = re.match(r"\s*<!--\s*typed:\s*(.*?)\s*-->\s*$", before)
                block = Block(number, words[0] if words else "", words[1:], [],
                              typed[1].split(" | ") if typed else [])
                fence, indent, before = mark[2], len(mark[1]), ""
                self.blocks.append(block)
            elif block and mark and mark[2].startswith(fence) and not mark[3]:
                block = None
            elif block:
                text = line.rstrip("\r\n")
                block.lines.append(text[min(indent, len(text) - len(text.lstrip())):])
        if block is not None:
            raise WrongPage(f"{self.name} line {block.line}: this block is never closed")
        return "".join(prose)

    def problem(self, line: int, text: str) -> Problem:
        return Problem(self.name, line, text)

    def line_at(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def lines_of(self, name: str) -> list[str]:
        text = (self.top / name).read_text(encoding="utf-8", errors="replace")
        return [line.rstrip() for line in text.splitlines()]

    def code_files(self) -> list[str]:
        where = re.escape(self.chapter) if self.chapter else r"\d\d-[^/]+"
        return [name for name in self.files if re.fullmatch(where + r"/[^/]+\.[ch]", name)]

    def find(self, name: str) -> list[str]:
        """The files (or the folder) that the page means by this name; * stands for many."""
        name = name.rstrip("/")
        places = [self.folder, ""]
        if not self.chapter and "/" not in name:
            places += sorted({posixpath.dirname(code) for code in self.code_files()})
        for place in places:
            wanted = posixpath.normpath(posixpath.join(place, name))
            found = [file for file in self.files if fnmatch.fnmatchcase(file, wanted)
                     and file.count("/") == wanted.count("/")]
            if not found and any(file.startswith(wanted + "/") for file in self.files):
                found = [wanted]
            if found:
                return found
        return []

    def find_file(self, name: str) -> str:
        found = self.find(name)
        if len(found) != 1 or found[0] not in self.files:
            raise WrongPage(f"there is no file {name}")
        return found[0]


def page_names(top: Path = TOP) -> list[str]:
    return [path.relative_to(top).as_posix() for glob in PAGES for path in sorted(top.glob(glob))]
