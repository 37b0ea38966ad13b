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

import sys
from pathlib import Path

from support_pages.figures import check_figures
from support_pages.names import anchors_of, check_names
from support_pages.page import Page, Problem, TOP, WrongPage, page_names
from support_pages.sessions import Play, Ports, check_sessions, copy_of, normalised, session_members
from support_pages.snippets import check_diffs, check_snippets

__all__ = ["Page", "Play", "Ports", "Problem", "TOP", "WrongPage", "anchors_of", "check_diffs",
           "check_figures", "check_names", "check_sessions", "check_snippets", "copy_of", "main",
           "normalised", "page_names", "session_members"]


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
