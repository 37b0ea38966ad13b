"""A million guests, on paper: what was measured for thousands, drawn out in a straight line.

The line goes through what was measured with 1,000 and 10,000 guests. With 19,000 it is held
against what was measured there.
"""

from __future__ import annotations

import math
from typing import Callable, Optional

from goals import TASKS
from results import Results, shown
from tables import Table

LOW, HIGH, CHECK = 1000, 10000, 19000
MILLION = 1_000_000
SPEAKS_EVERY = 10  # seconds: what a guest of a chat does
BUSY = 0.7  # of a core, so that there is room for a bad moment
MACHINE_GIB, MACHINE_CORES = 64, 16  # of the machine on paper
MEMORY_SHARE = 0.5  # of it for guests; the rest for bytes under way, and for the system
GIB, MIB = 2**30, 2**20


def _total(results: Results, guests: int, what: str) -> Optional[float]:
    found = results.point(TASKS, guests).get(what)
    return None if found is None else found * guests


def _line(results: Results, guests: int, what: str) -> Optional[float]:
    low, high = _total(results, LOW, what), _total(results, HIGH, what)
    if low is None or high is None:
        return None
    slope = (high - low) / (HIGH - LOW)
    return low + slope * (guests - LOW)


def _kernel(results: Results, guests: int) -> Optional[float]:
    """Of the server's end. The guest's end is on this machine too: a socket, and no more."""
    both, one = _line(results, guests, "kernel"), results.found.get("socket_bytes")
    return None if both is None or one is None else both - one * guests


def _cpu_us(results: Results) -> Optional[float]:
    found = results.busy(TASKS, "1000x64", "cpu_us")
    return found.middle if found else None


def _cores(results: Results) -> Optional[float]:
    cpu = _cpu_us(results)
    return None if cpu is None else MILLION / SPEAKS_EVERY * cpu / 1e6 / BUSY


def _by_memory(results: Results) -> Optional[float]:
    own, kernel = _line(results, MILLION, "resident"), _kernel(results, MILLION)
    if own is None or kernel is None:
        return None
    return MACHINE_GIB * GIB * MEMORY_SHARE / ((own + kernel) / MILLION)


def _by_cores(results: Results) -> Optional[float]:
    cpu = _cpu_us(results)
    return None if cpu is None else MACHINE_CORES * BUSY * 1e6 / cpu * SPEAKS_EVERY


def _limit(results: Results) -> str:
    memory, cores = _by_memory(results), _by_cores(results)
    if memory is None or cores is None:
        return "–"
    return "its memory" if memory < cores else "its cores"


def _fewest(results: Results) -> Optional[float]:
    memory, cores = _by_memory(results), _by_cores(results)
    return None if memory is None or cores is None else min(memory, cores)


def _machines(results: Results) -> str:
    """For ten million guests."""
    fewest = _fewest(results)
    return "–" if fewest is None else str(math.ceil(10 * MILLION / fewest))


def _divided(value: Optional[float], by: float) -> Optional[float]:
    return None if value is None else value / by


def _row(results: Results, guests: int) -> list[str]:
    measured = [_divided(_total(results, guests, what), MIB) for what in ("resident", "kernel")]
    paper = [_divided(_line(results, guests, what), MIB) for what in ("resident", "kernel")]
    return [f"{guests:,}", shown(paper[0], ".2f"), shown(measured[0], ".2f"),
            shown(paper[1], ".1f"), shown(measured[1], ".1f"),
            shown(results.echo(TASKS, guests), ".1f")]


def _table(results: Results) -> str:
    table = Table("", ["guests", "server, MiB, on paper", "measured", "kernel, MiB, on paper",
                       "measured", "an echo beside them, µs"],
                  [_row(results, guests) for guests in (LOW, HIGH, CHECK, MILLION)])
    return "\n\n" + table.markdown() + "\n\n"


FIGURES: dict[str, Callable[[Results], str]] = {
    "table": _table,
    "resident-mib": lambda results: shown(_divided(_line(results, MILLION, "resident"), MIB)),
    "kernel-gib": lambda results: shown(_divided(_kernel(results, MILLION), GIB), ".1f"),
    "kernel-bytes": lambda results: shown(_divided(_kernel(results, MILLION), MILLION)),
    "echoes": lambda results: f"{MILLION // SPEAKS_EVERY:,}",
    "cpu": lambda results: shown(_cpu_us(results), ".1f"),
    "cores": lambda results: shown(_cores(results), ".1f"),
    "by-memory": lambda results: shown(_divided(_by_memory(results), MILLION), ".1f"),
    "by-cores": lambda results: shown(_divided(_by_cores(results), MILLION), ".1f"),
    "limit": _limit,
    "machines": _machines,
}
