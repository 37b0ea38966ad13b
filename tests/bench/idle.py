"""Guests who say nothing: what they hold in memory, and what they cost those who speak."""

from __future__ import annotations

import contextlib
import gc
import socket
import time
from typing import Any, Optional

import proc
from busy import Tell, one_run
from crowd import Crowd, SilentCrowd, WrongEcho
from servers import Running, Server, Trouble

LIMIT_SECONDS = {"chapter": 15.0, "floor": 15.0, "peer": 6.0}  # for all steps of one server
MANY = 10000  # the crowd among whom others speak
SPEAKERS = 50
QUIET_SECONDS = 0.5
KERNEL_FROM = 100  # guests; below, all else that the machine does drowns them
PAIRS = 2000


def bytes_of_a_socket() -> float:
    """What the kernel keeps for one end of a connection, seen at both ends of many."""
    with contextlib.ExitStack() as ends, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(16)
        pairs = min(PAIRS, (proc.DESCRIPTORS - 100) // 2)
        gc.collect()
        before = proc.kernel_memory()
        for _ in range(pairs):
            ends.enter_context(socket.create_connection(door.getsockname()))
            ends.enter_context(door.accept()[0])
        return (proc.kernel_memory() - before) / (2 * pairs)


class Ledger:
    """What a server has more than before its first guest.

    The kernel's memory is that of the whole machine: only what it grows by while guests come
    in is counted, so that less of what others do gets into it.
    """

    def __init__(self, running: Running, silent: SilentCrowd) -> None:
        self.running, self.silent = running, silent
        self.first = proc.memory(running.family())
        self.kernel, self.seconds = 0, 0.0

    def grow(self, guests: int) -> bool:
        before, start = proc.kernel_memory(), time.monotonic()
        reached = self.silent.grow(guests)
        self.kernel += proc.kernel_memory() - before
        self.seconds = (time.monotonic() - start) / max(1, self.silent.guests)
        return reached

    def a_guest(self) -> dict[str, Any]:
        guests, now = self.silent.guests, proc.memory(self.running.family())
        return {
            "guests": guests,
            "resident": round((now.resident - self.first.resident) / guests, 1),
            "virtual": round((now.virtual - self.first.virtual) / guests, 1),
            "threads": round((now.threads - self.first.threads) / guests, 4),
            "kernel": round(self.kernel / guests) if guests >= KERNEL_FROM else None,
        }


def _echo_us(running: Running, seconds: float, times: int) -> Optional[list[float]]:
    """The middle one of the echoes of one guest; None: nobody else gets in."""
    found = []
    for _ in range(times):
        with Crowd(running.port, 1, 64, "seconds", seconds) as crowd:
            if crowd.guests == 0:
                return None
            found.append(crowd.speak()["p50_us"])
    return found


def _quiet(running: Running) -> dict[str, float]:
    """What the server does while nobody speaks."""
    family = running.family()
    before, start = proc.usage(family), time.monotonic()
    time.sleep(QUIET_SECONDS)
    used, seconds = proc.usage(family) - before, time.monotonic() - start
    return {"wakeups": round(used.switches / seconds, 2),
            "cpu_us": round(used.cpu_ns / 1e3 / seconds, 1)}


def _among(server: Server, crowded: Running, times: int,
           seconds: float) -> Optional[dict[str, list[float]]]:
    """Some who speak, in turns among the silent ones and in a server that has only them."""
    found: dict[str, list[float]] = {"alone_us": [], "among_us": []}
    with Running(server) as empty:
        for _ in range(times):
            for name, running in (("alone_us", empty), ("among_us", crowded)):
                with Crowd(running.port, SPEAKERS, 64, "seconds", seconds) as crowd:
                    if crowd.guests < SPEAKERS:
                        return None
                    found[name].append(round(one_run(running, crowd).cpu_us, 3))
    return found


class Ladder:
    """More and more silent guests in one server, step by step, as far as it gets."""

    def __init__(self, running: Running, silent: SilentCrowd, tell: Tell) -> None:
        self.running, self.silent, self.tell = running, silent, tell
        self.ledger = Ledger(running, silent)
        self.start, self.limit = time.monotonic(), LIMIT_SECONDS[running.server.family]
        self.found: dict[str, Any] = {"idle": [], "wall": None}

    def too_long(self, step: int) -> bool:
        """Whether this step would, at the pace of the one before."""
        ahead = self.ledger.seconds * (step - self.silent.guests)
        return time.monotonic() - self.start + ahead > self.limit

    def climb(self, step: int) -> bool:
        if self.too_long(step):
            self.found["wall"] = "time"
            return False
        self.tell(f"{self.running.server.name}: {step} silent guests")
        before = self.silent.guests
        reached = self.ledger.grow(step)
        if self.silent.guests > before:
            self.found["idle"].append(self.ledger.a_guest())
        if not reached:
            self.found["wall"] = "time" if self.silent.late else self.silent.guests
        return reached


def _climb(ladder: Ladder, steps: list[int], seconds: float, times: int) -> None:
    found, running = ladder.found, ladder.running
    many = max((step for step in steps if step <= MANY), default=0)
    found["alone_us"] = _echo_us(running, seconds, times)
    for step in steps:
        if not ladder.climb(step):
            break
        found["idle"][-1]["echo_us"] = _echo_us(running, seconds, times)
        if step == many:
            found["many"] = step
            found["quiet"] = _quiet(running)
            found["speakers"] = _among(running.server, running, 2 * times + 1, 3 * seconds)


def measure(server: Server, steps: list[int], seconds: float, times: int,
            tell: Tell) -> dict[str, Any]:
    """"wall" is where this server's ladder ends before the last step, if it does: so many
    guests, or "time"."""
    try:
        with Running(server) as running, SilentCrowd(running.port) as silent:
            ladder = Ladder(running, silent, tell)
            _climb(ladder, steps, seconds, times)
            return ladder.found
    except WrongEcho as words:
        return {"wrong": f"its echo is wrong beside silent guests: {words}"}
    except Trouble as words:
        return {"wrong": str(words)}
