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
from typing import Iterator, Mapping, Optional

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


# ---- results ---------------------------------------------------------------------------------

def _short(value: float) -> str:
    """Three digits that mean something, or all that stand before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else \
        f"{value:.2f}"


def as_results(machine: Mapping[str, str], figures: Mapping[Key, list[float]]) -> Results:
    results: Results = {("machine", name): [value] for name, value in machine.items()}
    for key, values in sorted(figures.items()):
        if values:
            spread = [min(values), max(values)] if len(values) > 1 else []
            results[key] = [_short(value) for value in (median(values), *spread)]
    return results


def written(results: Results) -> str:
    lines = ["# figure; server; the middle of the rounds, the least, the most"]
    lines += ["; ".join((*key, *values)) for key, values in results.items()]
    return "\n".join(lines) + "\n"


def read(text: str) -> Results:
    rows = (line.split("; ") for line in text.splitlines() if not line.startswith("#"))
    return {(row[0], row[1]): row[2:] for row in rows}


def servers(results: Results) -> list[str]:
    """In the order of the chapters; then whoever else was measured."""
    names = dict.fromkeys(name for what, name in results if what != "machine")
    return sorted(names, key=lambda name: (not name[0].isdigit(), not name.startswith("bare"), name))


# ---- the page --------------------------------------------------------------------------------

def shown(results: Results, what: str, server: str) -> str:
    values = results.get((what, server))
    if values is None:
        return "–"
    return f"{float(values[0]):,.0f}" if re.fullmatch(r"\d{4,}", values[0]) else values[0]


def rows(results: Results, spec: str) -> Iterator[list[str]]:
    """The head of a table, and a row for each server of which one of the figures is known."""
    parts = [part.partition(" = ") for part in spec.split("; ")]
    yield ["", *(label for label, _, _ in parts)]
    for server in servers(results):
        row = [shown(results, figure or label, server) for label, _, figure in parts]
        if set(row) != {"–"}:
            yield [server, *row]


def _table(results: Results, spec: str) -> str:
    head, *others = rows(results, spec)
    lines = [head, ["---", *("---:" for _ in head[1:])], *others]
    return "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"


def filled(text: str, results: Results) -> str:
    def fill(found: "re.Match[str]") -> str:
        spec = found[1].strip()
        if spec.startswith("table: "):
            value = _table(results, " ".join(spec[7:].split()))
        else:
            what, _, server = spec.partition(" | ")
            value = shown(results, what, server)
        return f"<!-- {found[1].strip()} -->{value}<!-- / -->"
    return re.sub(r"<!-- ([^/].*?) -->.*?<!-- / -->", fill, text, flags=re.DOTALL)


def summary(results: Results, spec: str) -> str:
    lines = list(rows(results, spec))
    wide = max(len(line[0]) for line in lines)
    return "\n".join(line[0].ljust(wide) + "".join(word.rjust(12) for word in line[1:])
                     for line in lines)


# ---- pictures --------------------------------------------------------------------------------

STYLE = """<style>text { font: 14px sans-serif; fill: #222 } .us { fill: #2a6f97 } .them { fill: #999 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .us { fill: #61a5c2 } .them { fill: #777 } }
</style>"""


def bars(title: str, values: list[tuple[str, float]], logarithmic: bool) -> str:
    """A bar for each value, with its name before it and its number behind it."""
    scale = math.log10 if logarithmic else float
    longest = scale(max(value for _, value in values))
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {len(values) * 26 + 40}">',
             f"<title>{title}</title>", STYLE, f'<text x="8" y="20">{title}</text>']
    for number, (name, value) in enumerate(values):
        y = 34 + number * 26
        length = max(1.0, 400 * scale(value) / longest) if value > 0 else 1.0
        kind = "us" if name[0].isdigit() else "them"
        lines += [f'<text x="190" y="{y + 15}" text-anchor="end">{name}</text>',
                  f'<rect class="{kind}" x="200" y="{y}" width="{length:.0f}" height="20"/>',
                  f'<text x="{208 + length:.0f}" y="{y + 15}">{value:,.0f}</text>']
    return "\n".join([*lines, "</svg>"]) + "\n"


def _number(results: Results, what: str, server: str) -> Optional[float]:
    values = results.get((what, server))
    return float(values[0]) if values else None


def pictures(results: Results) -> dict[str, str]:
    memory = [(server, _number(results, "resident 10000", server) or
               _number(results, "resident 1000", server)) for server in servers(results)]
    beside = [(f"{server}, {count} silent" if count else f"{server}, alone",
               _number(results, f"beside {count}", server))
              for server in ("03-select", "04-epoll") for count in (0, 1000, 10000)]
    return {
        "memory.svg": bars("Resident bytes a silent connection (each step of the scale: ten times)",
                           [(name, value) for name, value in memory if value], True),
        "beside.svg": bars("An echo beside silent connections, microseconds",
                           [(name, value) for name, value in beside if value is not None], False),
    }


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
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"),
                           read(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
