"""Guests who speak: echoes a second, CPU, latency and context switches, in rounds.

All servers stay open all the time, and in each round each of them has its turn: whatever
slows the machine down for a while slows them all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Optional

import proc
from crowd import Crowd, WrongEcho
from servers import Running

Tell = Callable[[str], None]
LIMIT_SECONDS = 100.0  # for all rounds; on a slow machine there are fewer of them
FEWEST = 3  # rounds, however slow: less has no middle one
SLOW_SECONDS = 1.0  # what a run may take longer than its echoes: to come in, to leave


@dataclass(frozen=True)
class Shape:
    """So many guests with messages of so many bytes."""
    guests: int
    size: int

    def __str__(self) -> str:
        return f"{self.guests}x{self.size}"


BIG = (Shape(50, 16 * 1024), Shape(10, 1024 * 1024))


@dataclass
class Visit:
    """What one run with one server showed, for one echo of it."""
    rate: float
    cpu_us: float
    p50_us: float
    p99_us: float
    p999_us: float
    switches: float


@dataclass
class Cell:
    """All rounds of one server and one shape."""
    visits: list[Visit] = field(default_factory=list)
    wall: Optional[int] = None  # so many guests got in, and no more
    slow: bool = False  # once is enough: the others wait for it

    def as_json(self) -> dict[str, Any]:
        if self.wall is not None:
            return {"wall": self.wall}
        return {name: [round(getattr(visit, name), 3) for visit in self.visits]
                for name in Visit.__annotations__}


def one_run(running: Running, crowd: Crowd) -> Visit:
    """The crowd is seated: only the echoes are measured, not how it came in."""
    family = running.family()
    before = proc.usage(family)
    said = crowd.speak()
    used = proc.usage(family) - before
    echoes = said["echoes"]
    return Visit(echoes / said["seconds"], used.cpu_ns / 1e3 / echoes, said["p50_us"],
                 said["p99_us"], said["p999_us"], used.switches / echoes)


def _visit(running: Running, shape: Shape, seconds: float, cell: Cell) -> None:
    start = time.monotonic()
    with Crowd(running.port, shape.guests, shape.size, "seconds", seconds) as crowd:
        if crowd.guests < shape.guests:
            cell.wall = crowd.guests
        else:
            cell.visits.append(one_run(running, crowd))
    cell.slow = time.monotonic() - start > seconds + SLOW_SECONDS


def measure(open_ones: list[Running], shapes: Iterable[Shape], rounds: int, seconds: float,
            tell: Tell) -> dict[str, dict[str, Any]]:
    """By server and shape. A server that is wrong is told of, and left out."""
    shapes = list(shapes)
    cells = {one.server.name: {shape: Cell() for shape in shapes} for one in open_ones}
    wrong: dict[str, str] = {}
    start = time.monotonic()
    for number in range(1, rounds + 1):
        if number > FEWEST and (time.monotonic() - start) * number / (number - 1) > LIMIT_SECONDS:
            break
        for shape in shapes:
            tell(f"round {number} of {rounds}: {shape.guests} guests, {shape.size} bytes")
            for one in open_ones:
                cell = cells[one.server.name][shape]
                if one.server.name in wrong or cell.wall is not None or cell.slow:
                    continue
                try:
                    _visit(one, shape, seconds, cell)
                except WrongEcho as words:
                    wrong[one.server.name] = f"its echo is wrong with {shape}: {words}"
    return {name: {"wrong": wrong[name]} if name in wrong else
            {"busy": {str(shape): cell.as_json() for shape, cell in row.items()}}
            for name, row in cells.items()}
