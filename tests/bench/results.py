"""What was measured, read back: results.json, and the questions one asks it.

Everything here is from one run. What is compared is compared round by round, so that a machine
that was slow for a while was slow for both.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

Point = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """What the rounds gave: the least, the middle one, the most."""
    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(min(values), statistics.median(values), max(values))


class Results:
    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.machine: dict[str, Any] = found["machine"]
        self.missing: dict[str, str] = found["missing"]
        self.servers: dict[str, dict[str, Any]] = found["servers"]

    @classmethod
    def read(cls, path: Path) -> "Results":
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def text(self) -> str:
        return json.dumps(self.found, indent=1, ensure_ascii=False) + "\n"

    def mark(self) -> str:
        """Tells these results from all others: pictures and page carry it."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:16]

    def names(self, *families: str) -> list[str]:
        return [name for name, server in self.servers.items()
                if not families or server["family"] in families]

    # ---- guests who speak

    def shapes(self) -> list[str]:
        """In the order of their guests: "50x64" is 50 guests with 64 bytes."""
        seen = {shape for server in self.servers.values() for shape in server.get("busy", {})}
        return sorted(seen, key=lambda shape: tuple(map(int, reversed(shape.split("x")))))

    def crowds(self) -> list[int]:
        """How many guests spoke small messages."""
        return [int(shape.split("x")[0]) for shape in self.shapes() if shape.endswith("x64")]

    def rounds(self, name: str, shape: str, what: str) -> list[float]:
        cell = self.servers.get(name, {}).get("busy", {}).get(shape, {})
        return cell.get(what, [])

    def most_rounds(self) -> int:
        return max((len(self.rounds(name, shape, "rate"))
                    for name in self.names() for shape in self.shapes()), default=0)

    def busy(self, name: str, shape: str, what: str) -> Optional[Spread]:
        rounds = self.rounds(name, shape, what)
        return Spread.of(rounds) if rounds else None

    def wall_of(self, name: str, shape: str) -> Optional[int]:
        return self.servers.get(name, {}).get("busy", {}).get(shape, {}).get("wall")

    def ratio(self, name: str, other: str, shape: str, what: str) -> Optional[Spread]:
        """Of the two in the same round."""
        pairs = zip(self.rounds(name, shape, what), self.rounds(other, shape, what))
        found = [one / two for one, two in pairs if two > 0]
        return Spread.of(found) if found else None

    # ---- guests who are silent

    def points(self, name: str) -> list[Point]:
        return self.servers.get(name, {}).get("idle", [])

    def point(self, name: str, guests: int) -> Point:
        return next((point for point in self.points(name) if point["guests"] == guests), {})

    def echo(self, name: str, guests: int) -> Optional[float]:
        """Microseconds for an echo beside so many silent guests: of the tries the quickest, as
        whatever else the machine does can only make it longer."""
        times = (self.point(name, guests).get("echo_us") if guests else
                 self.servers.get(name, {}).get("alone_us"))
        return min(times) if times else None

    def steps(self) -> list[int]:
        """How many silent guests were tried; a wall is none of them."""
        return sorted({point["guests"] for name in self.names() for point in self.points(name)
                       if "echo_us" in point})

    def most_guests(self, name: str) -> int:
        return max((point["guests"] for point in self.points(name)), default=0)

    def wall(self, name: str) -> Any:
        return self.servers.get(name, {}).get("wall")

    def among(self, name: str) -> Optional[Spread]:
        """CPU of an echo among many silent guests, by that of an echo without them."""
        speakers = self.servers.get(name, {}).get("speakers")
        if not speakers:
            return None
        return Spread.of([among / alone for among, alone
                          in zip(speakers["among_us"], speakers["alone_us"])])

    def many(self) -> int:
        return max((server.get("many", 0) for server in self.servers.values()), default=0)

    def quiet(self, name: str) -> Optional[dict[str, float]]:
        return self.servers.get(name, {}).get("quiet")

    # ---- what is counted

    def calls(self, name: str) -> dict[str, float]:
        return self.servers.get(name, {}).get("calls", {})

    def strip(self, name: str) -> list[list[str]]:
        return self.servers.get(name, {}).get("strip", [])

    def instructions(self, name: str) -> Optional[float]:
        return self.servers.get(name, {}).get("instructions")

    def files(self, name: str) -> dict[str, float]:
        """Its instructions, by the file they stand in."""
        return self.servers.get(name, {}).get("files", {})

    def as_one_file(self, name: str) -> Optional[float]:
        return self.servers.get(name, {}).get("as_one_file")


def shown(value: Optional[float], form: str = ".0f", none: str = "–") -> str:
    """1234.5 as "1,234", 9.87 with ".2f" as "9.87"; what was not measured is a dash."""
    return none if value is None else format(value, "," + form)


def spread(found: Optional[Spread], form: str = ".0f") -> str:
    """The middle one, and between which limits."""
    if found is None:
        return "–"
    least, middle, most = (shown(value, form) for value in (found.least, found.middle, found.most))
    return middle if least == most else f"{middle} ({least}–{most})"


def middle(found: Optional[Spread], form: str = ".0f") -> str:
    return shown(found.middle, form) if found else "–"


