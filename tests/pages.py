#!/usr/bin/env python3
"""Holds README.md, the chapters' README.md and docs/ to the code they speak of.

    python3 tests/pages.py              check snippets, diffs, names, links and numbers
    python3 tests/pages.py --fix        and write the numbers anew where the code has moved on
    python3 tests/pages.py --play       and type every session of the pages in a fresh copy
    python3 tests/pages.py --play 03-select/README.md

What is looked at, and how a page says so:

    ```c                                stands in the chapter's code (outside a chapter: in any)
    ```c 03-select/server.c             stands in this file
    ```c not-in-the-code                does not, but its brackets are balanced
    ```diff 03-select/server.c 04-epoll/server.c     stands in `diff -u` of these two
    ```console                          is typed in terminal 1; ```console 2 in terminal 2
    ```console not-run                  is not typed: too long, or needs root
    <!-- typed: Hello -->               before a console block: this line is typed to the program
    `server.c`, [a link](docs/x.md#y)   is there
    <!-- lines: server.c -->88<!-- /lines -->        this number is right; so with code:,
                                        difflines: A B, value: NAME FILE

A line `...` leaves lines out; in a console block `...` within a line leaves out a part of it.
There `$ ` and `> ` are typed, `# ` is a remark for the reader, ^C and ^D are keys, and all else
must appear.
"""

from __future__ import annotations

import ast
import collections
import difflib
import fcntl
import fnmatch
import operator
import os
import posixpath
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Iterator, Optional

TOP = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "[0-9][0-9]-*/README.md", "docs/*.md")

GAP = re.compile(r"[-+ ]?\s*(/\*\s*(\.\.\.|…)\s*\*/|(//\s*|#\s*)?(\.\.\.|…))\s*")


@dataclass
class Problem:
    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page} line {self.line}: {self.text}"


class WrongPage(Exception):
    """A page asks for what cannot be: raised where no Problem can be returned."""


# ---------------------------------------------------------------- the repository and its pages


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


# ------------------------------------------------------------------------- snippets and diffs


@dataclass
class Piece:
    """The lines between two gaps."""
    line: int
    lines: list[str]


def pieces_of(block: Block, column: int) -> list[Piece]:
    """column: where the code begins; 1 in a diff, whose first character is a sign."""
    kept = [(number, text.rstrip()) for number, text in block.numbered()]
    code = [text[column:] for _, text in kept if text[column:].strip() and not GAP.fullmatch(text)]
    indent = min((len(text) - len(text.lstrip()) for text in code), default=0)
    pieces: list[Piece] = []
    fresh = True
    for number, text in kept:
        if GAP.fullmatch(text) or (column and text.startswith(("@@", "--- ", "+++ "))):
            fresh = True
            continue
        if fresh:
            if not text.strip():
                continue
            pieces.append(Piece(number, []))
            fresh = False
        pieces[-1].lines.append((text[:column] + text[column + indent:]).rstrip())
    for piece in pieces:
        while not piece.lines[-1]:
            piece.lines.pop()
    return pieces


def pieces_found(pieces: list[Piece], lines: list[str], column: int = 0) -> int:
    """How many pieces stand in these lines in this order, all indented alike."""
    best = 0
    first = pieces[0].lines[0]
    for start, line in enumerate(lines):
        sign, rest = first[:column], first[column:]
        prefix = line[column:len(line) - len(rest)]
        if line[:column] != sign or not line[column:].endswith(rest) or prefix.strip():
            continue
        position = start
        for count, piece in enumerate(pieces):
            wanted = [(text[:column] + prefix + text[column:]).rstrip() for text in piece.lines]
            last = len(lines) - len(wanted)
            places = range(position, (position if count == 0 else last) + 1)
            place = next((i for i in places if lines[i:i + len(wanted)] == wanted), None)
            if place is None:
                break
            position = place + len(wanted)
            best = max(best, count + 1)
    return best


def nearest(piece: Piece, sources: dict[str, list[str]]) -> tuple[str, int]:
    """Where the lines most like this piece stand: file and index of the first."""
    wanted = [line.strip() for line in piece.lines]
    wanted_bag, text = collections.Counter(line for line in wanted if line), "\n".join(wanted)
    windows: list[tuple[float, str, int]] = []
    for name, lines in sources.items():
        for start in range(max(1, len(lines) - len(wanted) + 1)):
            window = [line.strip() for line in lines[start:start + len(wanted)]]
            same = sum((wanted_bag & collections.Counter(window)).values())
            windows.append((same, name, start))
    most = max((same for same, _, _ in windows), default=0)

    def ratio(window: tuple[float, str, int], quick: bool) -> float:
        there = sources[window[1]][window[2]:window[2] + len(wanted)]
        matcher = difflib.SequenceMatcher(None, "\n".join(map(str.strip, there)), text, False)
        return matcher.quick_ratio() if quick else matcher.ratio()

    likely = sorted((window for window in windows if window[0] == most),
                    key=lambda window: ratio(window, quick=True), reverse=True)[:20]
    best = max(likely, key=lambda window: ratio(window, quick=False), default=(0, "", 0))
    return best[1], best[2]


def dedented(lines: Iterable[str], column: int) -> list[str]:
    lines = list(lines)
    indent = min((len(line[column:]) - len(line[column:].lstrip())
                  for line in lines if line[column:].strip()), default=0)
    return [line[:column] + line[column + indent:] for line in lines]


def difference(page: Iterable[str], real: Iterable[str], real_name: str) -> str:
    """A diff for the reader; both names end up in its head."""
    lines = difflib.unified_diff(list(page), list(real), "the page", real_name, lineterm="", n=3)
    return "\n".join("    " + line for line in lines if not line.startswith("@@"))


def missing_piece(page: Page, block: Block, sources: dict[str, list[str]], where: str,
                  column: int = 0) -> list[Problem]:
    pieces = pieces_of(block, column)
    if not pieces:
        return [page.problem(block.line, "this block shows nothing")]
    found = {name: pieces_found(pieces, lines, column) for name, lines in sources.items()}
    if len(pieces) in found.values():
        return []
    best = max(found, key=lambda name: found[name], default="")
    piece = pieces[found.get(best, 0)]
    name, start = nearest(piece, {best: sources[best]} if found.get(best) else sources)
    text = f"this snippet is not in {where} any more"
    if not name:
        return [page.problem(piece.line, text)]
    there = dedented(sources[name][start:start + len(piece.lines)], column)
    diff = difference(dedented(piece.lines, column), there, name)
    if diff:
        text += f"; the nearest is {name} line {start + 1}:\n{diff}"
    else:
        text += (f"; its lines stand at {name} line {start + 1}, but before the piece above, or "
                 "not indented as the rest of this block")
    return [page.problem(piece.line, text)]


STRINGS_AND_COMMENTS = re.compile(
    r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def unbalanced(code: str) -> str:
    """Which bracket has no partner; "" if all have."""
    partner = {")": "(", "]": "[", "}": "{"}
    open_ones: list[str] = []
    for character in STRINGS_AND_COMMENTS.sub(" ", code):
        if character in partner.values():
            open_ones.append(character)
        elif character in partner and (not open_ones or open_ones.pop() != partner[character]):
            return character
    return "".join(open_ones[-1:])


def check_snippets(page: Page) -> list[Problem]:
    problems: list[Problem] = []
    for block in page.blocks:
        paths = [word for word in block.words if re.search(r"[./]", word)]
        if block.language in ("diff", "console"):
            continue
        if "not-in-the-code" in block.words:
            bracket = unbalanced("\n".join(block.lines))
            if bracket:
                problems.append(page.problem(block.line, f"a {bracket} of this example has no "
                                             "partner"))
        elif block.language in ("c", "C") or paths:
            try:
                names = [page.find_file(path) for path in paths] or page.code_files()
            except WrongPage as wrong:
                problems.append(page.problem(block.line, str(wrong)))
                continue
            where = " or ".join(names if len(names) <= 2 else
                                sorted({posixpath.dirname(name) + "/" for name in names}))
            problems += missing_piece(page, block, {name: page.lines_of(name) for name in names},
                                      where or "the code")
    return problems


def run_diff(page: Page, names: list[str], *options: str) -> list[str]:
    result = subprocess.run(["diff", *options, *names], cwd=page.top, stdout=subprocess.PIPE)
    return result.stdout.decode("utf-8", "replace").splitlines()


def check_diffs(page: Page) -> list[Problem]:
    problems: list[Problem] = []
    for block in page.blocks:
        if block.language != "diff" or "not-in-the-code" in block.words:
            continue
        try:
            if len(block.words) != 2:
                raise WrongPage("say which two files this compares: ```diff OLD NEW")
            names = [page.find_file(word) for word in block.words]
            lines = [line.rstrip() for line in run_diff(page, names, "-u")[2:]]
            command = "diff -u " + " ".join(names)
            problems += missing_piece(page, block, {command: lines}, f"`{command}`", column=1)
        except WrongPage as wrong:
            problems.append(page.problem(block.line, str(wrong)))
    return problems


# ---------------------------------------------------------------------------- names and links


def blank(pattern: str, text: str) -> str:
    """Takes out what matches, and leaves every line and offset where it was."""
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.DOTALL)


CODE_SPAN = r"(?<!`)(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)"
LINKS = (r"\]\(\s*<?([^)\s>]+)", r"(?m)^ {0,3}\[[^\]^][^\]]*\]:\s*<?([^\s>]+)",
         r"""<[^>]*\b(?:href|src)=["']([^"']+)""")


def looks_like_ours(name: str, page: Page) -> bool:
    if re.fullmatch(r"[\w*-][\w.*-]*\.(c|h|py|md|yml)|\d\d-[\w-]+|Makefile", name):
        return True
    first = name.split("/")[0]
    return bool(re.fullmatch(r"[\w./*-]+", name)) and "/" in name and (
        first == ".." or re.match(r"\d\d-", first) is not None
        or any(file.startswith(first + "/") for file in page.files))


def built_later(name: str) -> bool:
    return bool(re.search(r"(^|/)(build[\w-]*(/.*)?|(server|client)(-address|-thread)?)$", name))


def anchors_of(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    anchors = set(re.findall(r"""\b(?:id|name)=["']([^"']+)""", text))
    seen: collections.Counter[str] = collections.Counter()
    for heading in re.findall(r"(?m)^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", text):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def check_link(page: Page, target: str) -> str:
    """What is wrong with it; "" if nothing."""
    if re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.IGNORECASE):
        return ""
    path, _, anchor = target.partition("#")
    place = "" if path.startswith("/") else page.folder
    name = posixpath.normpath(posixpath.join(place, path.lstrip("/"))) if path else page.name
    if re.match(r"(\.\./)+(actions|issues|pulls|releases)\b", path):
        return ""  # a page of the repository on GitHub
    if name not in page.files and name != "." and not any(
            file.startswith(name + "/") for file in page.files):
        return f"the link to {target} leads nowhere"
    if anchor and name.endswith(".md"):
        if anchor not in anchors_of(Page(name, page.top).prose):
            return f"{name} has no heading for #{anchor}"
    elif anchor and name in page.files:
        numbers = [int(number) for number in re.findall(r"L(\d+)", anchor)]
        if not numbers or max(numbers) > len(page.lines_of(name)):
            return f"{name} has no line for #{anchor}"
    return ""


def check_names(page: Page) -> list[Problem]:
    problems: list[Problem] = []
    prose = blank(r"<!--.*?-->", page.prose)
    for span in re.finditer(CODE_SPAN, prose, re.DOTALL):
        name = re.sub(r"^\./|:\d+$", "", span[2].strip())
        if looks_like_ours(name, page) and not built_later(name) and not page.find(name):
            hint = " (a header of the system is written `<name.h>`)" if name.endswith(".h") else ""
            problems.append(page.problem(page.line_at(span.start()), f"there is no {name}{hint}"))
    prose = blank(CODE_SPAN, prose)
    for pattern in LINKS:
        for link in re.finditer(pattern, prose):
            wrong = check_link(page, link[1])
            if wrong:
                problems.append(page.problem(page.line_at(link.start()), wrong))
    return sorted(problems, key=lambda problem: problem.line)


# ------------------------------------------------------------------------------------ numbers


FIGURE = re.compile(r"<!--\s*(lines|code|difflines|value):\s*(.*?)\s*-->(.*?)<!--\s*/(\w+)\s*-->",
                    re.DOTALL)


def files_named(page: Page, patterns: str) -> list[str]:
    """`05-async-tasks/*.c,*.h`: a pattern without a folder keeps that of the one before."""
    found: list[str] = []
    folder = ""
    for pattern in patterns.split(","):
        pattern = pattern.strip()
        folder = posixpath.dirname(pattern) or folder
        names = page.find(posixpath.join(folder, posixpath.basename(pattern)))
        if not names or any(name not in page.files for name in names):
            raise WrongPage(f"there is no file {pattern}")
        found += names
    return found


def code_lines(text: str) -> int:
    """Lines that hold more than blanks and comments."""
    without = STRINGS_AND_COMMENTS.sub(
        lambda found: "\n" * found[0].count("\n") if found[0].startswith("/") else '""', text)
    return sum(1 for line in without.splitlines() if line.strip())


def defined(name: str, lines: list[str]) -> str:
    for line in lines:
        found = re.match(rf"\s*#\s*define\s+{re.escape(name)}\s+(.*)", line)
        if found:
            value = re.sub(r"/\*.*?(\*/|$)|//.*", "", found[1]).strip()
            return value[1:-1] if re.fullmatch(r"\([^()]*\)", value) else value
    raise WrongPage(f"there is no #define {name}")


OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Mult: operator.mul, ast.Add: operator.add, ast.Sub: operator.sub,
    ast.FloorDiv: operator.floordiv, ast.LShift: operator.lshift, ast.RShift: operator.rshift}


def evaluated(value: str, lines: list[str]) -> Optional[int]:
    """The number that a #define comes to; None if it is none."""
    def number(node: ast.AST) -> int:
        if isinstance(node, ast.Expression):
            return number(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name):
            return number(parse(defined(node.id, lines)))
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](number(node.left), number(node.right))
        raise ValueError(value)

    def parse(text: str) -> ast.Expression:
        return ast.parse(re.sub(r"\b(\d\w*?)[uUlL]+\b", r"\1", text).replace("/", "//"), mode="eval")

    try:
        return number(parse(value))
    except (SyntaxError, ValueError, WrongPage, RecursionError):
        return None


def value_as_written(old: str, page: Page, name: str, file: str) -> str:
    """In the manner of the page: 64 KiB, 65,536, or 64 * 1024 as the code has it."""
    lines = page.lines_of(page.find_file(file))
    raw = defined(name, lines)
    number = evaluated(raw, lines)
    unit = re.search(r"\b(KiB|MiB)$", old)
    if number is None or not re.fullmatch(r"[\d,]+( KiB| MiB)?", old):
        return raw
    size = {"KiB": 1024, "MiB": 1024 * 1024}[unit[1]] if unit else 1
    return f"{number // size} {unit[1]}" if unit and number % size == 0 else str(number)


def right_figure(page: Page, kind: str, argument: str, old: str) -> str:
    if kind == "lines":
        new = str(sum(len(page.lines_of(name)) for name in files_named(page, argument)))
    elif kind == "code":
        new = str(sum(code_lines("\n".join(page.lines_of(name)))
                      for name in files_named(page, argument)))
    elif kind == "difflines":
        names = [page.find_file(name) for name in argument.split()]
        if len(names) != 2:
            raise WrongPage("say which two files: <!-- difflines: OLD NEW -->")
        new = str(sum(1 for line in run_diff(page, names) if line.startswith(("<", ">"))))
    else:
        if len(argument.split()) != 2:
            raise WrongPage("say <!-- value: NAME FILE -->")
        new = value_as_written(old, page, *argument.split())
    if "," in old:
        new = re.sub(r"^\d+", lambda digits: f"{int(digits[0]):,}", new)
    return new


def check_figures(page: Page, fix: bool = False) -> list[Problem]:
    """With fix, writes the page anew and returns only what it could not mend."""
    problems: list[Problem] = []
    text = page.text
    figures = list(FIGURE.finditer(page.prose))
    closed = {figure.start() for figure in figures}
    for opened in re.finditer(r"<!--\s*(lines|code|difflines|value):", page.prose):
        if opened.start() not in closed:
            problems.append(page.problem(page.line_at(opened.start()),
                                         f"<!-- {opened[1]}: … --> is not closed"))
    for figure in reversed(figures):
        kind, argument, old, closing = figure.groups()
        line = page.line_at(figure.start())
        try:
            if closing != kind:
                raise WrongPage(f"<!-- {kind}: … --> ends with <!-- /{closing} -->")
            new = right_figure(page, kind, argument, old.strip())
        except WrongPage as wrong:
            problems.append(page.problem(line, str(wrong)))
            continue
        if new == old.strip():
            continue
        if fix:
            text = text[:figure.start(3)] + new + text[figure.end(3):]
        else:
            problems.append(page.problem(line, f"{kind} of {argument}: the page says "
                                         f"{old.strip() or 'nothing'}, it is {new} "
                                         "(python3 tests/pages.py --fix writes it)"))
    if text != page.text:
        (page.top / page.name).write_text(text, encoding="utf-8")
    return problems[::-1]


# ----------------------------------------------------------------------------------- sessions

# What differs from run to run and from machine to machine; applied to both sides.
NORMALISE = [(re.compile(pattern), by) for pattern, by in (
    (r"\s+$", ""),
    (r" --port 8080\b", ""),
    (r"(127\.0\.0\.1|\[::1\]|localhost):(?!8080\b)\d+", r"\1:PORT"),
    (r"\b\d+\.\d+ (s|ms|seconds)\b", r"T \1"),
    (r"^(real|user|sys)\s+\d+m[\d.]+s$", r"\1 T"),
    (r"\bpid( |=)\d+", r"pid\1PID"),
    (r"\b\d+ kB\b", "N kB"),
    (r"^(\^C)+(?=.)", ""),
)]

# Said by bash of its background jobs, at moments of its own choice: left out on both sides.
JOB_NOTICE = re.compile(r"\[\d+\]([+-]? +(Done|Exit|Running|Terminated|Interrupt|Killed).*| \d+)")

# `ls ./server` only speaks of the program: it gets no --port.
ONLY_LOOK = set("ls size nm ldd file wc stat readlink objdump readelf cp rm ln kill pgrep gdb "
                "echo".split())

PROMPT = b"\x1eprompt\x1e"
SETTLE = 0.15  # seconds for a command to return when all that is shown has appeared


def normalised(line: str) -> str:
    for pattern, by in NORMALISE:
        line = pattern.sub(by, line)
    return line


def comparable(lines: Iterable[str]) -> list[str]:
    kept = [normalised(line) for line in lines if not JOB_NOTICE.fullmatch(line.rstrip())]
    while kept and not kept[-1]:
        kept.pop()
    return kept


def alike(shown: str, real: str) -> bool:
    """`...` within a line stands for any characters of that line."""
    pattern = ".*".join(map(re.escape, re.split(r"\.\.\.|…", shown)))
    return shown == real or re.fullmatch(pattern, real) is not None


def fits(shown: list[str], real: list[str], whole: bool) -> bool:
    """Whether the real lines are (whole) or begin with (not whole), the lines shown."""
    pieces: list[list[str]] = [[]]
    for line in shown:
        if GAP.fullmatch(line):
            pieces.append([])
        else:
            pieces[-1].append(line)

    def stands(piece: list[str], at: int) -> bool:
        return all(map(alike, piece, real[at:at + len(piece)]))

    position = 0
    for i, piece in enumerate(pieces):
        last = len(real) - len(piece)
        if whole and i == len(pieces) - 1:
            return last >= position and (i > 0 or last == 0) and stands(piece, last)
        places = range(position, last + 1 if i else min(1, last + 1))
        place = next((at for at in places if stands(piece, at)), None)
        if place is None:
            return False
        position = place + len(piece)
    return True


def gone_astray(shown: list[str], real: list[str]) -> bool:
    """Whether no further output can make it right."""
    for page_line, real_line in zip(shown, real):
        if GAP.fullmatch(page_line):
            return False
        if not alike(page_line, real_line):
            return True
    return False


@dataclass
class Action:
    """Something done in a terminal, and the lines that then appear there."""
    terminal: int
    line: int
    kind: str  # command, ^C, ^D, typed, more (nothing is done: more appears)
    text: str = ""
    shown: list[str] = field(default_factory=list)


def actions_of(page: Page) -> list[Action]:
    actions: list[Action] = []
    for block in page.blocks:
        if block.language != "console":
            continue
        if "not-run" in block.words:
            if not "".join(block.lines[:1]).startswith("$ "):
                raise WrongPage(f"{page.name} line {block.line}: a console block that is not run "
                                "begins with what is typed: `$ …`")
            continue
        wrong = [word for word in block.words if not word.isdigit()]
        if wrong:
            raise WrongPage(f"{page.name} line {block.line}: what is {wrong[0]!r}? It is ```console"
                            ", ```console 2 or ```console not-run")
        terminal = int(block.words[0]) if block.words else 1
        typed = list(block.typed)
        action: Optional[Action] = None
        for number, text in block.numbered():
            if text.startswith("# "):
                continue
            if text.startswith("$ git clone") or (
                    text.startswith("$ cd ") and action and action.kind == "cloned"):
                action = Action(terminal, number, "cloned")  # we stand in the clone already
                continue
            if text.startswith("$ "):
                action = Action(terminal, number, "command", text[2:])
            elif text.startswith("> ") and action and action.kind == "command" and not action.shown:
                action.text += "\n" + text[2:]
                continue
            elif text in ("^C", "^D"):
                if action is None and text == "^C":  # what came before it is not shown
                    actions.append(Action(terminal, number, "more", shown=["..."]))
                action = Action(terminal, number, text)
            elif typed and text == typed[0]:
                action = Action(terminal, number, "typed", typed.pop(0))
            else:
                if action is None:
                    action = Action(terminal, number, "more")
                    actions.append(action)
                action.shown.append(text.rstrip())
                continue
            actions.append(action)
        if typed:
            raise WrongPage(f"{page.name} line {block.line}: no line of this block is "
                            f"{typed[0]!r}, which is to be typed")
    for action in actions:
        if re.search(r"\b(killall|pidof)\b", action.text):
            raise WrongPage(f"{page.name} line {action.line}: other people's programs may have the "
                            "same name; use pgrep or pkill, which are kept to this page's")
        if re.search(r"\bmake (test|check)\b|\bpytest\b|pages\.py", action.text):
            raise WrongPage(f"{page.name} line {action.line}: the tests would play this page "
                            "again, and so on for ever; write ```console not-run")
    return actions


class Ports:
    """Free ports that stand for 8080 to 8099, which may be taken here."""

    def __init__(self) -> None:
        self.real: dict[str, str] = {}

    def stand_in(self, port: str) -> str:
        while port not in self.real:
            candidate = random.randrange(20000, 32768)
            with socket.socket() as probe:
                try:
                    probe.bind(("", candidate))
                except OSError:
                    continue
            if str(candidate) not in self.real.values():
                self.real[port] = str(candidate)
        return self.real[port]

    def typed(self, command: str) -> str:
        parts = re.split(r"([;&|\n]+)", command)
        return "".join(self._one_program(part) for part in parts)

    def _one_program(self, command: str) -> str:
        words = [word for word in command.split() if "=" not in word]
        if "--port" not in command and words and words[0] not in ONLY_LOOK:
            command = re.sub(r"""(?<![^\s('"])((?:\./|\d\d-)[\w/-]*(?<=[./])(?:server|client)"""
                             r"""(?:-address|-thread)?)(?=[\s)'"]|$)""", r"\1 --port 8080", command)
        return re.sub(r"\b80[89]\d\b", lambda port: self.stand_in(port[0]), command)

    def shown(self, text: str) -> str:
        for port, real in self.real.items():
            text = re.sub(rf"\b{real}\b", port, text)
        return text


class Terminal:
    """A bash at the other end of a pseudo-terminal, which keeps what it has said."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST                      # \n stays \n
        attributes[3] &= ~(termios.ECHO | termios.ECHOCTL)   # what is typed does not come back
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))

        def take_terminal() -> None:  # Ctrl-C reaches whoever has a terminal in the foreground
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"], stdin=slave, stdout=slave,
            stderr=slave, cwd=directory, env=environment, start_new_session=True,
            preexec_fn=take_terminal)
        os.close(slave)
        self.heard = bytearray()
        self.heard_at = time.monotonic()
        self.ended = False
        self.command: Optional[Action] = None
        self.shown: list[str] = []
        self.right = False  # the whole of it has been compared

    def type(self, text: str) -> None:
        self.heard_at = time.monotonic()
        os.write(self.master, text.encode())

    def begin(self, command: Action, text: str) -> None:
        self.command, self.shown, self.right = command, [], False
        self.heard.clear()
        self.type(text + "\n")

    def listen(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody is left at the other end
            data = b""
        self.ended |= not data
        self.heard += data
        self.heard_at = time.monotonic()

    @property
    def returned(self) -> bool:
        return self.ended or PROMPT in self.heard

    def lines(self, ports: Ports) -> list[str]:
        """Whole lines; when the command has returned, all that there is."""
        data = re.sub(rb"(?<=[^\n])" + PROMPT, b"\n", bytes(self.heard)).replace(PROMPT, b"")
        text = ports.shown(data.decode("utf-8", "replace")).replace("\r", "")
        lines = text.split("\n")
        if not self.returned:
            lines.pop()  # not whole yet
        return comparable(lines)

    def end(self) -> None:
        """Kills all that was started here: bash and its jobs are one session."""
        for _ in range(50):
            left = session_members(self.bash.pid)
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                break
            self.bash.poll()
            time.sleep(0.01)
        self.bash.wait()
        os.close(self.master)


def session_members(session: int) -> list[int]:
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):  # it has just ended
            continue
        if int(its_session) == session and state not in "ZX":
            members.append(int(path.parent.name))
    return members


class Play:
    """One page, from its top to its bottom, in a fresh copy of the repository."""

    def __init__(self, page: Page, copy: Path, patience: float = 20.0) -> None:
        self.page, self.copy, self.patience = page, copy, patience
        self.actions = actions_of(page)
        self.ports = Ports()
        self.terminals: dict[int, Terminal] = {}
        self.environment = {name: value for name, value in os.environ.items()
                            if not re.match(r"MAKE|MFLAGS|SAN$|PYTEST|PROMPT_COMMAND|BASH|LC_|LANG",
                                            name)}
        self.environment.update(LC_ALL="C.UTF-8", TERM="dumb", PS1=PROMPT.decode(), PS2="",
                                PAGER="cat", GIT_PAGER="cat", HISTFILE="/dev/null")

    def run(self) -> list[Problem]:
        try:
            for i in range(len(self.actions)):
                self.perform(i)
            for terminal in self.terminals.values():
                if not terminal.shown:  # a long command that is to say nothing; or a silent server
                    self.wait(lambda: terminal.returned, terminal, self.patience / 2)
                if terminal.returned and terminal.command:
                    self.line = terminal.command.line
                    self.compare(terminal, whole=True)
        except WrongPage as wrong:
            return [self.page.problem(self.line, str(wrong))]
        finally:
            for terminal in self.terminals.values():
                terminal.end()
        return []

    def perform(self, i: int) -> None:
        action = self.actions[i]
        following = [other for other in self.actions[i + 1:] if other.terminal == action.terminal]
        last_of_command = not following or following[0].kind == "command"
        must_return = bool(following) and following[0].kind == "command" and \
            following[0] is self.actions[i + 1]
        terminal = self.terminal(action)
        self.do(action, terminal)
        shown = comparable(action.shown)
        terminal.shown += shown
        terminal.right = terminal.right and not shown
        command = terminal.command
        assert command is not None
        in_background = self.in_background(command)
        only_gaps = bool(shown) and all(map(GAP.fullmatch, shown)) and action.kind != "more"

        def arrived() -> bool:
            real = terminal.lines(self.ports)
            return (terminal.returned and not in_background
                    or fits(terminal.shown, real, whole=False) or gone_astray(terminal.shown, real))

        if must_return or only_gaps:
            self.wait(lambda: terminal.returned or gone_astray(
                terminal.shown, terminal.lines(self.ports)), terminal)
            if not terminal.returned:
                self.compare(terminal, whole=False)
                raise WrongPage(f"{self.about(terminal)} does not return here; if it is to run "
                                "on, show the last line that appears, and ^C where it is ended")
        elif shown:
            self.wait(arrived, terminal)
        else:  # nothing to wait for: leave a silent command time to do its work
            self.wait(lambda: terminal.returned, terminal, 0.01 if action.kind == "more" else 1)
        if in_background:  # it may speak after bash has given its prompt
            self.wait(lambda: fits(terminal.shown, terminal.lines(self.ports), whole=False),
                      terminal, 3)
        self.compare(terminal, whole=False)
        if last_of_command:
            self.wait(lambda: terminal.returned, terminal, SETTLE)
            if terminal.returned:
                self.compare(terminal, whole=True)

    @staticmethod
    def in_background(command: Action) -> bool:
        return re.search(r"(?<![&>])&(?![&>\d])", command.text) is not None

    def terminal(self, action: Action) -> Terminal:
        self.line = action.line
        if action.terminal not in self.terminals:
            if action.kind != "command":
                raise WrongPage(f"nothing runs in terminal {action.terminal} yet")
            terminal = Terminal(self.copy, self.environment)
            self.terminals[action.terminal] = terminal
            if not self.wait(lambda: terminal.returned, terminal):
                raise WrongPage("bash gives no prompt")
        return self.terminals[action.terminal]

    def do(self, action: Action, terminal: Terminal) -> None:
        if action.kind == "command":
            if terminal.command and not self.wait(lambda: terminal.returned, terminal):
                raise WrongPage(f"{self.about(terminal)} still runs in this terminal; show ^C "
                                "where it is ended")
            if terminal.command:
                self.line = terminal.command.line
                self.compare(terminal, whole=True)
                self.line = action.line
            if terminal.ended:
                raise WrongPage("the shell of this terminal has ended")
            sessions = ",".join(str(other.bash.pid) for other in self.terminals.values())
            text = re.sub(r"\b(pgrep|pkill)\b(?= )", rf"\1 --session {sessions}", action.text)
            terminal.begin(action, self.ports.typed(text))
        elif action.kind in ("^C", "^D", "typed"):
            if terminal.returned:
                raise WrongPage(f"{self.about(terminal)} has ended before this "
                                f"{action.text or action.kind}")
            terminal.type({"^C": "\x03", "^D": "\x04"}.get(action.kind, action.text + "\n"))

    def wait(self, done: Callable[[], bool], terminal: Terminal, limit: float = 0.0) -> bool:
        """Until done, or the limit, or as long as the terminal says something now and then.
        All others are listened to as well: nobody shall wait for room in a pipe."""
        started = time.monotonic()
        terminal.heard_at = started
        while not done():
            now = time.monotonic()
            if now > started + limit if limit else now > terminal.heard_at + self.patience:
                return False
            by_master = {other.master: other for other in self.terminals.values()
                         if not other.ended}
            for master in select.select(list(by_master), [], [], 0.02)[0]:
                by_master[master].listen()
        return True

    def about(self, terminal: Terminal) -> str:
        command = terminal.command
        assert command is not None
        return f"`{command.text}` (line {command.line}, terminal {command.terminal})"

    def compare(self, terminal: Terminal, whole: bool) -> None:
        real = terminal.lines(self.ports)
        if terminal.right or fits(terminal.shown, real, whole):
            terminal.right |= whole
            return
        state = "" if terminal.returned else " (and it still runs)"
        raise WrongPage(f"{self.about(terminal)} does not go as shown:\n"
                        + difference(terminal.shown, real, "what happens" + state))


def copy_of(top: Path, to: Path) -> Path:
    for name in files_of(top):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(top / name, to / name, follow_symlinks=False)
    return to


def check_sessions(page: Page, patience: float = 20.0) -> list[Problem]:
    if not any(block.language == "console" for block in page.blocks):
        return []
    with tempfile.TemporaryDirectory(prefix="page-") as directory:
        return Play(page, copy_of(page.top, Path(directory)), patience).run()


# ------------------------------------------------------------------------------- command line


def main(arguments: list[str], top: Path = TOP) -> int:
    options = {argument for argument in arguments if argument.startswith("-")}
    if options - {"--fix", "--play"}:
        print(__doc__)
        return 0 if options == {"--help"} else 2
    problems: list[object] = []
    for name in [name for name in arguments if name not in options] or page_names(top):
        try:
            page = Page(name, top)
            problems += check_figures(page, fix="--fix" in options)
            page = Page(name, top)
            for check in (check_snippets, check_diffs, check_names):
                problems += check(page)
            if "--play" in options:
                problems += check_sessions(page)
        except WrongPage as wrong:
            problems.append(wrong)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
