#!/usr/bin/env python3
"""The results as text, a line a figure, and docs/costs.md, whose figures come from them.

    python3 tests/bench/page.py         fills the page from the results

In the page a figure stands between two comments; a table's columns are named in its first one:

    <!-- resident 10000 | 04-epoll -->96<!-- / -->
    <!-- table: instructions; bytes = resident 10000 -->
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from typing import Iterator, Mapping

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "costs.md"
RESULTS = DOCS / "costs" / "results.txt"

Key = tuple[str, str]  # what, and which server
Results = dict[Key, list[str]]  # the middle one; and the least and the most, of several rounds

SUMMARY = ("echoes/s = echoes 50x64; CPU, ratio = cpu-ratio 50x64; instr. = instructions; calls; "
           "bytes = resident 10000; 16 KiB = echoes-ratio 50x16384; "
           "1 MiB = echoes-ratio 10x1048576; p99 us = p99-beside-floods")
MILLION = ("connections = million connections; servers = million processes; "
           "connect, s = million seconds to connect; bytes = million resident; "
           "kernel = million kernel; CPU, silent = million CPU while silent; "
           "p50, us = million p50; p99, us = million p99; "
           "echo, s = million seconds to send a message each; "
           "end, s = million seconds to end in good order")


# ---- results -----------------------------------------------------------------------------

def as_results(machine: Mapping[str, str], figures: Mapping[Key, list[float]]) -> Results:
    """Three digits that mean something, or all that stand before the point."""
    results: Results = {("machine", name): [value] for name, value in machine.items()}
    for key, values in sorted(figures.items()):
        if values:
            spread = [min(values), max(values)] if len(values) > 1 else []
            results[key] = [f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"
                            for value in (median(values), *spread)]
    return results


def written(results: Results) -> str:
    lines = ["# figure; server; the middle of the rounds, the least, the most"]
    return "\n".join(lines + ["; ".join((*key, *results[key])) for key in results]) + "\n"


def read(text: str) -> Results:
    rows = (line.split("; ") for line in text.splitlines() if not line.startswith("#"))
    return {(row[0], row[1]): row[2:] for row in rows}


def servers(results: Results) -> list[str]:
    """In the order of the chapters; then whoever else was measured."""
    names = {name for what, name in results if what != "machine"}
    return sorted(names, key=lambda name: (not name[0].isdigit(), not name.startswith("bare"), name))


# ---- the page ----------------------------------------------------------------------------

def shown(results: Results, what: str, server: str) -> str:
    value = results.get((what, server), ["–"])[0]
    return f"{int(value):,}" if value.isdigit() else value


def rows(results: Results, spec: str) -> Iterator[list[str]]:
    """The head of a table, and a row for each server of which one of the figures is known."""
    parts = [part.partition(" = ") for part in spec.split("; ")]
    yield ["", *(label for label, _, _ in parts)]
    for server in servers(results):
        row = [shown(results, figure or label, server) for label, _, figure in parts]
        if set(row) != {"–"}:
            yield [server, *row]


def filled(text: str, results: Results) -> str:
    def fill(found: "re.Match[str]") -> str:
        what, _, server = found[1].partition(" | ")
        value = shown(results, what, server)
        if what.startswith("table: "):
            head, *others = rows(results, " ".join(what[7:].split()))
            lines = [head, ["---", *("---:" for _ in head[1:])], *others]
            value = "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"
        return f"<!-- {found[1]} -->{value}<!-- / -->"
    return re.sub(r"<!-- ([^/].*?)\s*-->.*?<!-- / -->", fill, text, flags=re.DOTALL)


def summary(results: Results, spec: str) -> str:
    lines = list(rows(results, spec))
    wide = max(len(line[0]) for line in lines)
    return "\n".join(line[0].ljust(wide) + "".join(word.rjust(12) for word in line[1:])
                     for line in lines)


def publish(results: Results) -> None:
    """Only what the page shows is kept. The million has a run of its own, and keeps the rest."""
    text = PAGE.read_text(encoding="utf-8")
    a_million = any(what.startswith("million") for what, _ in results)
    old = read(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept = {key: old[key] for key in old if key[0].startswith("million") != a_million}
    results = {key: values for key, values in {**results, **kept}.items()
               if key[0] == "machine" or re.search(rf"{re.escape(key[0])}\b", text)}
    RESULTS.write_text(written(results), encoding="utf-8")
    PAGE.write_text(filled(text, results), encoding="utf-8")


if __name__ == "__main__":
    publish(read(RESULTS.read_text(encoding="utf-8")))
