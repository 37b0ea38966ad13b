#!/usr/bin/env python3
"""The results as text, a line a figure, and docs/costs.md, whose figures come from them.

    python3 tests/bench/page.py         fills the page and draws its pictures from the results

In the page a figure stands between two comments; a table's columns are named in its first one:

    <!-- resident 10000 | 04-epoll -->96<!-- / -->
    <!-- table: instructions; bytes = resident 10000 -->
"""

from __future__ import annotations

import math
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


# ---- pictures ----------------------------------------------------------------------------

STYLE = """<style>text { font: 14px sans-serif; fill: #222 } .us { fill: #2a6f97 } .them { fill: #999 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .us { fill: #61a5c2 } .them { fill: #777 } }
</style>"""


def bars(title: str, rows: list[tuple[str, list[str]]], logarithmic: bool) -> str:
    """A bar for each that has something to show, its name before it and its number behind it."""
    values = [(name, float(numbers[0])) for name, numbers in rows if numbers and float(numbers[0])]
    scale = math.log10 if logarithmic else float
    longest = scale(max(value for _, value in values))
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {len(values) * 26 + 40}">',
             f"<title>{title}</title>", STYLE, f'<text x="8" y="20">{title}</text>']
    for y, (name, value) in zip(range(34, 10000, 26), values):
        length = max(1.0, 400 * scale(value) / longest)
        kind = "us" if name[0].isdigit() else "them"
        lines += [f'<text x="190" y="{y + 15}" text-anchor="end">{name}</text>',
                  f'<rect class="{kind}" x="200" y="{y}" width="{length:.0f}" height="20"/>',
                  f'<text x="{208 + length:.0f}" y="{y + 15}">{value:,.0f}</text>']
    return "\n".join([*lines, "</svg>"]) + "\n"


def pictures(results: Results) -> dict[str, str]:
    def number(what: str, server: str) -> list[str]:
        return results.get((what, server), [])

    memory = [(server, number("resident 10000", server) or number("resident 1000", server))
              for server in servers(results)]
    beside = [(f"{server}, {count} silent" if count else f"{server}, alone",
               number(f"beside {count}", server))
              for server in ("03-select", "04-epoll") for count in (0, 1000, 10000)]
    return {"memory.svg": bars("Resident bytes a silent connection (each step of the scale: "
                               "ten times)", memory, True),
            "beside.svg": bars("An echo beside silent connections, microseconds", beside, False)}


def publish(results: Results) -> None:
    """Only what the page shows is kept. The million has a run of its own, and keeps the rest."""
    text = PAGE.read_text(encoding="utf-8")
    a_million = any(what.startswith("million") for what, _ in results)
    old = read(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept = {key: old[key] for key in old if key[0].startswith("million") != a_million}
    results = {key: values for key, values in {**results, **kept}.items()
               if key[0] == "machine" or key[0] in text}
    RESULTS.write_text(written(results), encoding="utf-8")
    PAGE.write_text(filled(text, results), encoding="utf-8")
    for name, picture in pictures(results).items():
        (RESULTS.parent / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    publish(read(RESULTS.read_text(encoding="utf-8")))
