"""What 04 and 05 aim at, and whether this run shows that they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from results import Results, Spread, shown, spread
from servers import BIG_FLOOR, FLOOR

EPOLL, TASKS = "04-epoll", "05-async-tasks"
INSTRUCTIONS = {EPOLL: 120, TASKS: 250}
SPARE = 64  # descriptors that are no guests: the door, the bells, a speaker


@dataclass(frozen=True)
class Verdict:
    """met is None where it was not measured; unsure: short, but not in every round."""
    measured: str
    met: Optional[bool]
    unsure: bool = False

    @property
    def word(self) -> str:
        return {True: "met", False: "**short**", None: "not measured"}[self.met]


@dataclass(frozen=True)
class Goal:
    name: str
    aim: Callable[[str], str]
    verdict: Callable[[Results, str], Verdict]
    why: str  # where it is short


NOTHING = Verdict("–", None)


def _most(found: Optional[Spread], limit: float) -> Verdict:
    if found is None:
        return NOTHING
    return Verdict(spread(found, ".2f"), round(found.middle, 2) <= limit, found.least <= limit)


def _least(found: Optional[Spread], limit: float) -> Verdict:
    if found is None:
        return NOTHING
    form = ".2f" if found.middle < 10 else ".0f"
    return Verdict(spread(found, form), round(found.middle, 2) >= limit, found.most >= limit)


def _instructions(results: Results, name: str) -> Verdict:
    found = results.instructions(name)
    if found is None:
        return NOTHING
    return Verdict(shown(found), found <= INSTRUCTIONS[name])


def _calls(results: Results, name: str) -> Verdict:
    """One to read, one to write, one at most to wait; none that only learns EAGAIN."""
    calls = results.calls(name)
    if not calls:
        return NOTHING
    rest = set(calls) - {"recvfrom", "sendto", "epoll_wait"}
    fruitless = any(result.startswith("E") for _, result in results.strip(name))
    met = not rest and not fruitless and max(calls.values()) <= 1.01
    return Verdict(" + ".join(f"{shown(count, '.2f')} {call}" for call, count in calls.items()),
                   met)


def _resident(results: Results, name: str) -> Verdict:
    found = results.point(name, 10000).get("resident")
    return NOTHING if found is None else Verdict(shown(found), found <= 256)


def _held(results: Results, name: str) -> Verdict:
    held, limit = results.most_guests(name), results.machine["descriptors"]
    allowed = min(19000, limit - SPARE)
    if held < allowed and results.wall(name) is None:
        return NOTHING  # nobody tried
    return Verdict(f"{shown(held)} (limit {shown(limit)})", held >= allowed)


def _silence(results: Results, name: str) -> Verdict:
    quiet = results.quiet(name)
    if quiet is None or results.many() != 10000:
        return NOTHING
    return Verdict(shown(quiet["wakeups"], ".1f"), quiet["wakeups"] == 0)


def _cpu(shape: str) -> Callable[[Results, str], Verdict]:
    return lambda results, name: _most(results.ratio(name, FLOOR, shape, "cpu_us"), 1.03)


def _rate(other: str, shape: str, limit: float) -> Callable[[Results, str], Verdict]:
    return lambda results, name: _least(results.ratio(name, other, shape, "rate"), limit)


def _always(text: str) -> Callable[[str], str]:
    return lambda name: text


CPU = "The kernel's part is the same, so what is more is in the loop, or in what it disturbs."
BIG = "An echo in more pieces than the loop's: more system calls for the same bytes."

GOALS = (
    Goal("instructions an echo", lambda name: f"≤ {INSTRUCTIONS[name]}", _instructions,
         "The bare loop has no turns, no unsent bytes, no closing time, no futures: each of "
         "them is looked at in every echo."),
    Goal("system calls an echo", _always("recv + send + at most one wait"), _calls,
         "A call that only learns that there is nothing to do, or tells the kernel again what "
         "it knows."),
    Goal("CPU, 50 guests × 64 B, by the bare loop", _always("≤ 1.03"), _cpu("50x64"), CPU),
    Goal("CPU, 1,000 guests × 64 B, by the bare loop", _always("≤ 1.03"), _cpu("1000x64"), CPU),
    Goal("resident bytes a silent guest, 10,000 of them", _always("≤ 256"), _resident,
         "All that the server has more than before its first guest, divided by 10,000."),
    Goal("16 KiB × 50, by the 64 KiB loop", _always("≥ 0.95"),
         _rate(BIG_FLOOR, "50x16384", 0.95), BIG),
    Goal("16 KiB × 50, by Node", _always("≥ 1.2"), _rate("Node", "50x16384", 1.2), BIG),
    Goal("16 KiB × 50, by Tokio's tutorial", _always("≥ 100"),
         _rate("Tokio", "50x16384", 100),
         "Tokio's figure is set by a timer of 40 ms, whatever the machine; ours by the machine."),
    Goal("1 MiB × 10, by the 64 KiB loop", _always("≥ 0.95"),
         _rate(BIG_FLOOR, "10x1048576", 0.95), BIG),
    Goal("1 MiB × 10, by Node", _always("≥ 1.2"), _rate("Node", "10x1048576", 1.2), BIG),
    Goal("CPU, 50 who speak among 10,000 silent, by 50 alone", _always("≤ 1.05"),
         lambda results, name: _most(results.among(name) if results.many() == 10000 else None,
                                     1.05), CPU),
    Goal("guests held by one process", _always("19,000, or all its descriptors"), _held,
         "It ended before its descriptors did, or before the time we allow."),
    Goal("wake-ups a second, 10,000 silent guests", _always("0"), _silence,
         "Something ticks although nobody waits for it."),
)
