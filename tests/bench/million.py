"""make bench MILLION=1, or CONNECTIONS=50000: a crowd as large as memory and descriptors allow.

As many server processes as the limit of descriptors asks for, and as many processes of clients,
each with a loopback address of its own. Every connection sends a message and checks its echo; all
are held and measured; then the servers are asked to end, and every connection must see an end in
good order.
"""

from __future__ import annotations

import math
import re
import resource
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from measure import Figures, Tell
from processes import Load, Running, Trouble, kernel_bytes
from servers import Server

SPARE = 300  # descriptors of a process that are no connections, or the measuring client's
BYTES = 10_000  # of memory that a connection may need, both ends of it
WAIT = 60  # seconds without progress
SILENT_SECONDS = 2.0


def allowed(wanted: int) -> tuple[int, str]:
    """How many of them this machine can hold, both ends of them, and what limits that."""
    def number(path: str) -> int:
        return int(Path("/proc/sys/fs", path).read_text().split()[0])

    free = re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text())
    limits = {"memory": int(free[1]) * 1024 // BYTES if free else 0,
              "descriptors (fs.file-max)": (number("file-max") - number("file-nr")) // 2,
              "watches (fs.epoll.max_user_watches)": number("epoll/max_user_watches") // 2}
    limit, most = min(limits.items(), key=lambda item: item[1])
    return (most, limit) if most < wanted else (wanted, "")


class Crowd:
    def __init__(self, server: Server, count: int, stack: ExitStack, tell: Tell) -> None:
        self.name, self.count, self.tell = server.name, count, tell
        share = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE
        shares = math.ceil(count / share)
        self.sizes = [count // shares + (number < count % shares) for number in range(shares)]
        self.servers = [stack.enter_context(Running(server.command, core=None))
                        for _ in self.sizes]
        self.stack, self.loads = stack, []  # type: ExitStack, list[Load]
        self.figures: Figures = {}

    def note(self, what: str, value: float) -> None:
        self.figures[f"million {what}", self.name] = [value]

    def timed(self, what: str, work: Callable[[], None]) -> None:
        self.tell(f"{self.name}, {self.count:,} connections: {what}")
        start = time.monotonic()
        work()
        self.note(f"seconds to {what}", time.monotonic() - start)

    def connect(self) -> None:
        self.loads = [Load(server.port, size, None, bytes=64, rounds=1, wait=WAIT)
                      for server, size in zip(self.servers, self.sizes)]
        for load in self.loads:
            self.stack.callback(load.__exit__)
        for number, load in enumerate(self.loads, 1):
            load.__enter__()
            self.tell(f"{self.name}: {number} of {len(self.loads)} processes of clients connected")
        connected = sum(load.connected for load in self.loads)
        if connected < self.count:
            raise Trouble(f"{connected:,} of {self.count:,} connections were served")

    def talk(self) -> None:
        for load in self.loads:
            load.order("go")
        echoes = sum(load.answer()["echoes"] for load in self.loads)
        if echoes != self.count:
            raise Trouble(f"{echoes:,.0f} echoes of {self.count:,}")

    def end(self) -> None:
        for load in self.loads:
            load.order("end")
        for server in self.servers:
            server.process.send_signal(signal.SIGTERM)
        ends = [load.answer() for load in self.loads]
        statuses = {server.process.wait(WAIT) for server in self.servers}
        cut = sum(end["cut"] for end in ends)
        if cut or statuses != {0}:
            raise Trouble(f"{cut:,.0f} connections were cut; exit statuses {statuses}")

    def measure(self) -> None:
        def resident() -> int:
            return sum(server.resident() for server in self.servers)

        def cpu() -> float:
            return sum(server.usage()[0] for server in self.servers) / 1e9

        resident_before, kernel_before = resident(), kernel_bytes()
        self.timed("connect", self.connect)
        self.note("connections", self.count)
        self.note("processes", len(self.servers))
        self.note("resident", (resident() - resident_before) / self.count)
        self.note("kernel", (kernel_bytes() - kernel_before) / self.count)
        cpu_before = cpu()
        time.sleep(SILENT_SECONDS)
        self.note("CPU while silent", (cpu() - cpu_before) / SILENT_SECONDS)
        with Load(self.servers[0].port, 1, None, bytes=64, seconds=1, wait=WAIT) as load:
            said = load.go()
        self.note("p50", said["p50_us"])
        self.note("p99", said["p99_us"])
        self.timed("send a message each", self.talk)
        self.timed("end in good order", self.end)


def run(servers: list[Server], wanted: int, tell: Tell) -> tuple[Figures, dict[str, str]]:
    """The figures; and which servers were wrong, and how."""
    figures: Figures = {}
    wrong: dict[str, str] = {}
    count, limit = allowed(wanted)
    if limit:
        print(f"{count:,} connections instead of {wanted:,}: more than that needs more {limit}")
    for server in servers:
        with ExitStack() as stack:
            try:
                crowd = Crowd(server, count, stack, tell)
                crowd.measure()
                figures.update(crowd.figures)
            except Trouble as trouble:
                wrong[server.name] = str(trouble)
    return figures, wrong
