"""Reads what callgrind writes: how many instructions have run, and in which file they stand.

The format (callgrind's manual, "Callgrind Format Specification"): "fl=(3) task.c" says where
the lines after it belong, "fl=(3)" says it again; ob= is the program or library. Then a line has
its number and its cost. After "calls=" comes one line that is the callee's cost, not ours. Names
that begin with c are the callee's.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter

PLACE = re.compile(r"(c?)(ob|f[lie])=\((\d+)\)(?: (.*))?")
COST = re.compile(r"(?:[+-]?\d+|\*) (\d+)")
LIBC = "libc"  # and the loader: whatever is in a library


def by_file(text: str) -> Counter[str]:
    names: dict[tuple[bool, str], str] = {}
    here = {True: "", False: ""}  # the program or library; the file
    found: Counter[str] = Counter()
    lines = iter(text.splitlines())
    for line in lines:
        place, cost = PLACE.fullmatch(line), COST.fullmatch(line)
        if line.startswith("calls="):
            next(lines)
        elif place:
            kind, number = place[2] == "ob", place[3]
            names.setdefault((kind, number), place[4] or "")
            if not place[1]:
                here[kind] = names[kind, number]
        elif cost:
            library = ".so" in here[True]
            found[LIBC if library else posixpath.basename(here[False])] += int(cost[1])
    return found
