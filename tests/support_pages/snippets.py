"""The snippets and diffs of a page stand in the code."""

from __future__ import annotations

import collections
import difflib
import posixpath
import re
import subprocess
from dataclasses import dataclass
from typing import Iterable

from support_pages.page import Block, Page, Problem, WrongPage

GAP = re.compile(r"[-+ ]?\s*(/\*\s*(\.\.\.|…)\s*\*/|(//\s*|#\s*)?(\.\.\.|…))\s*")


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
