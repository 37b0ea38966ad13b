"""The mutants of a tree: every small change that mutants.py may make to a chapter, in a fixed order.

C is not parsed. Inside the bodies of functions, which begin and end with a brace in the first
column, comments and strings are blanked out and the rest is looked at with regular expressions.
A change that does not compile is thrown away later.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Iterable, Iterator

CHAPTERS = ("01-blocking", "02-threads", "03-select", "04-epoll", "05-async-tasks")

OPERATORS = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "&&": "||", "||": "&&",
    "+": "-", "-": "+", "+=": "-=", "-=": "+=", "++": "--", "--": "++", "|=": "=", "&": "|",
    "|": "&",
}
# With spaces around it an operator has two sides, and `<` is no bracket of an #include.
OPERATOR = re.compile(r"(?<= )(==|!=|<=|>=|<|>|&&|\|\||\+=|-=|\|=|\+|-|&|\|)(?= )|\+\+|(?<!-)--(?!-)")
NUMBER = re.compile(r"(?<![\w.])(?:-1|0|[1-9]\d*)(?![\w.])|\btrue\b|\bfalse\b")
CONDITION = re.compile(r"\b(?:if|while) \((.*)\)(?: \{)?$")
STATEMENT = re.compile(r"^ +(?:[\w\->.\[\]*()&]+ [+\-|&]?= .*|[A-Za-z_]\w*\(.*\)|\w[\w\->.]*(?:\+\+|--)"
                       r"|break|continue|return);$")
DECLARATION = re.compile(r"^ +(?:const|static|struct|unsigned|int|char|bool|size_t|ssize_t|\w+_t)\b[^(=]* \**\w+ =")
QUIET = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|/\*.*?\*/|//.*')


def general(test: str) -> str:
    """The same test, whatever the chapter."""
    return re.sub("|".join(CHAPTERS), "", test)


@dataclass(frozen=True)
class Change:
    chapter: str
    group: str  # server, client, common or runtime
    file: str  # within the tree
    line: int
    kind: str  # operator, constant, condition or statement
    was: str
    now: str

    @property
    def name(self) -> str:
        return f"{self.file} [{self.was.strip()}] -> [{self.now.strip()}]"

    @property
    def rank(self) -> str:
        """A fixed order that a change elsewhere in the code does not upset."""
        return hashlib.sha256(f"1|{self.file}|{self.was}|{self.now}".encode()).hexdigest()


def lines_of_functions(text: str) -> Iterator[tuple[int, str, str]]:
    """(number, the line, the line with what is no code blanked out)."""
    inside = False
    comment = False
    for number, line in enumerate(text.split("\n"), 1):
        code = QUIET.sub(lambda found: " " * len(found[0]), line)
        if comment:
            ended = line.find("*/") + 2 if "*/" in line else len(line)
            code, comment = " " * ended + code[ended:], "*/" not in line
        elif "/*" in code:
            code, comment = code[:code.index("/*")], True
        inside = (inside or line == "{") and line != "}"
        if inside and not line.startswith("#") and not line.endswith("\\"):
            yield number, line, code.rstrip()


def changes_of_line(line: str, code: str) -> Iterator[tuple[str, str]]:
    """(kind, the changed line)."""
    for found in OPERATOR.finditer(code):
        yield "operator", line[:found.start()] + OPERATORS[found[0]] + line[found.end():]
    for found in NUMBER.finditer(code):
        other = {"true": "false", "false": "true", "0": "1", "1": "0", "-1": "0"}.get(found[0], "1")
        yield "constant", line[:found.start()] + other + line[found.end():]
    whole = CONDITION.search(code)
    if whole and code.count("(") == code.count(")"):
        yield "condition", f"{line[:whole.start(1)]}!({line[whole.start(1):whole.end(1)]}){line[whole.end(1):]}"
    if STATEMENT.match(code) and not DECLARATION.match(code) and code.count("(") == code.count(")"):
        yield "statement", line[:len(line) - len(line.lstrip())] + ";"


def group_of(chapter: str, path: Path, copies: int) -> str:
    if path.parent.name == "common" or copies > 3:
        return "common"
    if path.name.startswith(("client", "conversation")):
        return "client"
    program = path.name.startswith(("server", "connection", "workers"))
    return "runtime" if chapter.startswith("05") and not program else "server"


def sources(tree: Path) -> Iterator[tuple[str, Path, int]]:
    """(chapter, file, number of copies), each text once, in one of the chapters that have it."""
    copies: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for chapter in CHAPTERS:
        for path in sorted((tree / chapter).rglob("*.[ch]")):
            if not {"steps", "examples", "test.c", "tiny.c"} & set(path.relative_to(tree).parts):
                copies[path.read_text(encoding="utf-8")].append((chapter, path))
    for text, places in copies.items():
        chapter, path = places[int(hashlib.sha256(text.encode()).hexdigest(), 16) % len(places)]
        yield chapter, path, len(places)


def all_changes(tree: Path) -> Iterator[Change]:
    for chapter, path, copies in sources(tree):
        group = group_of(chapter, path, copies)
        for number, line, code in lines_of_functions(path.read_text(encoding="utf-8")):
            for kind, now in changes_of_line(line, code):
                yield Change(chapter, group, str(path.relative_to(tree)), number, kind, line, now)


def in_turn(lists: Iterable[list[Change]]) -> Iterator[Change]:
    """One of each list, then the next of each."""
    return (one for row in zip_longest(*lists) for one in row if one is not None)


def choose(tree: Path) -> Iterator[Change]:
    """All of them, so ordered that any first hundred has its share of each part and kind."""
    parts: dict[tuple[str, str], dict[str, list[Change]]] = defaultdict(lambda: defaultdict(list))
    by_name = {change.name: change for change in all_changes(tree)}
    for change in sorted(by_name.values(), key=lambda change: change.rank):
        common = change.group == "common"
        part = ("common", change.file.split("/")[-1][0]) if common else (change.chapter, change.group)
        parts[part][change.kind].append(change)
    turns = {part: list(in_turn(kinds.values())) for part, kinds in sorted(parts.items())}
    common = list(in_turn([turns.pop(part) for part in list(turns) if part[0] == "common"]))
    runtime = turns.pop(("05-async-tasks", "runtime"), [])
    # The runtime and what all chapters share are longer than a server or a client.
    halves = [side[start::2] for side in (common, runtime) for start in (0, 1)]
    return in_turn([*turns.values(), *halves])
