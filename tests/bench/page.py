"""Fills docs/costs.md in from results.json, and checks that it was.

    python3 tests/bench/page.py            say what on the page is not what was measured
    python3 tests/bench/page.py --fill     and write it there

<!-- cost: WHAT ... -->here<!-- /cost --> on the page: what stands between the two is computed.
FIGURES below has what there is to ask for. A picture carries the mark of the results from which
it was drawn.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Callable, Optional

import scale
import tables
from goals import EPOLL, GOALS, TASKS
from results import Results, middle, shown, spread
from servers import BIG_FLOOR, FLOOR

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "costs.md"
COSTS = REPOSITORY / "docs" / "costs"
RESULTS = COSTS / "results.json"

FIGURE = re.compile(r"<!-- cost: (.*?) -->(.*?)<!-- /cost -->", re.DOTALL)
MARK = re.compile(r"results ([0-9a-f]{16})")
NAMES = {"floor": FLOOR, "big-floor": BIG_FLOOR}


def _name(word: str) -> str:
    return NAMES.get(word, word)


def _machine(results: Results, what: str) -> str:
    value = results.machine[what]
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def _busy(results: Results, name: str, shape: str, what: str, form: str = ".0f") -> str:
    return middle(results.busy(_name(name), shape, what), form)


def _milliseconds(results: Results, name: str, shape: str) -> str:
    found = results.busy(_name(name), shape, "p50_us")
    return shown(found.middle / 1000, ".1f") if found else "–"


def _noise(results: Results, name: str, shape: str, what: str, form: str = ".0f") -> str:
    return spread(results.busy(_name(name), shape, what), form)


def _ratio(results: Results, name: str, other: str, shape: str, what: str) -> str:
    return spread(results.ratio(_name(name), _name(other), shape, what), ".2f")


def _times(results: Results, name: str, other: str, shape: str, what: str) -> str:
    return middle(results.ratio(_name(name), _name(other), shape, what))


def _a_guest(results: Results, name: str, guests: str, what: str) -> str:
    count = results.most_guests(_name(name)) if guests == "most" else int(guests)
    return shown(results.point(_name(name), count).get(what))


def _missing(results: Results) -> str:
    rows = [f"- {name}: {reason}" for name, reason in results.missing.items()]
    return "\n\n" + "\n".join(rows or ["- nothing"]) + "\n\n"


def _table(results: Results, name: str) -> str:
    return "\n\n" + tables.ALL[name](results).markdown() + "\n\n"


def _short(results: Results) -> str:
    """A sentence for each goal that is not met."""
    rows = []
    for goal in GOALS:
        verdicts = {name: goal.verdict(results, name) for name in (EPOLL, TASKS)}
        names = [name for name, verdict in verdicts.items() if verdict.met is False]
        unsure = [name for name in names if verdicts[name].unsure]
        if names:
            rows.append(f"- {goal.name} ({', '.join(names)}): {goal.why}" + (
                f" Not in every round: this run cannot tell ({', '.join(unsure)})."
                if unsure else ""))
    return "\n\n" + "\n".join(rows or ["Every goal that was measured is met."]) + "\n\n"


FIGURES: dict[str, Callable[..., str]] = {
    "machine": _machine,
    "missing": _missing,
    "rate": lambda results, name, shape: _busy(results, name, shape, "rate"),
    "milliseconds": _milliseconds,
    "cpu": lambda results, name, shape: _busy(results, name, shape, "cpu_us", ".1f"),
    "switches": lambda results, name, shape: _busy(results, name, shape, "switches", ".2f"),
    "noise": _noise,
    "ratio": _ratio,
    "times": _times,
    "resident": lambda results, name, guests: _a_guest(results, name, guests, "resident"),
    "virtual": lambda results, name, guests: _a_guest(results, name, guests, "virtual"),
    "kernel": lambda results, name, guests: _a_guest(results, name, guests, "kernel"),
    "most": lambda results, name: shown(results.most_guests(_name(name)) or None),
    "beside": lambda results, name, guests: shown(results.echo(_name(name), int(guests)), ".1f"),
    "wakeups": lambda results, name: shown(
        (results.quiet(_name(name)) or {}).get("wakeups"), ".0f"),
    "instructions": lambda results, name: shown(results.instructions(_name(name))),
    "file": lambda results, name, file: shown(results.files(name).get(file)),
    "one-file": lambda results, name: shown(results.as_one_file(name)),
    "calls": lambda results, name: shown(sum(results.calls(_name(name)).values()) or None, ".2f"),
    "rounds": lambda results: str(results.most_rounds()),
    "socket": lambda results: shown(results.found.get("socket_bytes")),
    "table": _table,
    "short": _short,
    "scale": lambda results, what: scale.FIGURES[what](results),
}


class WrongPage(Exception):
    """The page asks for what there is not."""


def figure(results: Results, words: str) -> str:
    kind, *arguments = words.split()
    try:
        return FIGURES[kind](results, *arguments)
    except (KeyError, TypeError, ValueError) as wrong:
        raise WrongPage(f"<!-- cost: {words} -->: {type(wrong).__name__}: {wrong}") from None


def filled(text: str, results: Results) -> str:
    return FIGURE.sub(lambda found: f"<!-- cost: {found[1]} -->{figure(results, found[1])}"
                                    "<!-- /cost -->", text)


def mark_of(picture: Path) -> Optional[str]:
    found = MARK.search(picture.read_text(encoding="utf-8"))
    return found[1] if found else None


def problems() -> list[str]:
    """What on the page, or on its pictures, was not measured in the run that is kept."""
    results, text = Results.read(RESULTS), PAGE.read_text(encoding="utf-8")
    found = []
    for here in FIGURE.finditer(text):
        right = figure(results, here[1])
        if here[2] != right:
            line = text.count("\n", 0, here.start()) + 1
            found.append(f"docs/costs.md line {line}, {here[1]}: the page says "
                         f"{here[2].strip()[:60]!r}, measured was {right.strip()[:60]!r}")
    found += [f"docs/costs.md: {words}: a line must not begin with it, or it ends its paragraph"
              for words in re.findall(r"^<!-- cost: (.*?) -->(?!\n)", text, re.MULTILINE)]
    if RESULTS.read_text(encoding="utf-8") != results.text():
        found.append("docs/costs/results.json is not as it was written")
    for picture in sorted(COSTS.glob("*.svg")):
        if mark_of(picture) != results.mark():
            found.append(f"docs/costs/{picture.name} was drawn from other results")
    return found


def fill() -> None:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(text, Results.read(RESULTS)), encoding="utf-8")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--fill"]):
        print(__doc__)
        return 2
    if arguments:
        fill()
    found = problems()
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
