"""The numbers of a page are those of the code; --fix writes them."""

from __future__ import annotations

import ast
import operator
import posixpath
import re
from typing import Callable, Optional

from support_pages.page import Page, Problem, WrongPage
from support_pages.snippets import STRINGS_AND_COMMENTS, run_diff

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
