"""make bench MILLION=1, or CONNECTIONS=50000: a crowd as large as memory and descriptors allow.

As many server processes as the limit of descriptors asks for, and as many processes of clients,
each with loopback addresses of its own. Every connection sends a message and checks its echo; all
are held and measured; then the servers are asked to end, and every connection must see an end in
good order.
"""

from __future__ import annotations

import math
import re
import resource
import signal
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

from measure import Bench
from processes import Load, Running, Trouble, kernel_bytes, tell
from servers import Server

SPARE = 300  # descriptors of a process that are no connections, or the measuring client's
BYTES = 10_000  # of memory that a connection may need, both ends of it
WAIT = 60  # seconds without progress
SILENT_SECONDS = 2.0


def allowed(wanted: int) -> int:
    """As many of them as this machine can hold, both ends of them; it says what limits that."""
    def number(path: str) -> int:
        return int(Path("/proc/sys/fs", path).read_text().split()[0])

    free = re.findall(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text())
    limits = {"memory": int(free[0]) * 1024 // BYTES,
              "descriptors (fs.file-max)": (number("file-max") - number("file-nr")) // 2,
              "watches (fs.epoll.max_user_watches)": number("epoll/max_user_watches") // 2}
    limit, most = min(limits.items(), key=lambda item: item[1])
    if most < wanted:
        print(f"{most:,} connections instead of {wanted:,}: more than that needs more {limit}")
    return min(most, wanted)


class Crowd:
    def __init__(self, bench: Bench, server: Server, count: int, stack: ExitStack) -> None:
        share = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE
        shares = math.ceil(count / share)
        self.bench, self.name, self.count, self.stack = bench, server.name, count, stack
        self.sizes = [(count + number) // shares for number in range(shares)]
        self.servers = [stack.enter_context(Running(server.command, core=None))
                        for _ in self.sizes]

    def note(self, what: str, value: float) -> None:
        self.bench.figures[f"million {what}", self.name] = [value]

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        tell(f"{self.name}, {self.count:,} connections: {what}")
        start = time.monotonic()
        yield
        self.note(f"seconds to {what}", time.monotonic() - start)

    def connect(self) -> list[Load]:
        loads = [Load(server.port, size, None, rounds=1, wait=WAIT)
                 for server, size in zip(self.servers, self.sizes)]
        for load in loads:
            self.stack.callback(load.__exit__)
        for number, load in enumerate(loads, 1):
            load.wait_until_ready()
            tell(f"{self.name}: {number} of {len(loads)} processes of clients connected")
        connected = sum(load.connected for load in loads)
        if connected < self.count:
            raise Trouble(f"{connected:,} of {self.count:,} connections were served")
        return loads

    def usage(self) -> tuple[float, int]:
        """Seconds of CPU, and resident bytes, of all servers."""
        return (sum(server.usage()[0] for server in self.servers) / 1e9,
                sum(server.resident() for server in self.servers))

    def measure(self) -> None:
        resident, kernel = self.usage()[1], kernel_bytes()
        with self.timed("connect"):
            loads = self.connect()
        self.note("connections", self.count)
        self.note("processes", len(self.servers))
        cpu, now_resident = self.usage()
        self.note("resident", (now_resident - resident) / self.count)
        self.note("kernel", (kernel_bytes() - kernel) / self.count)
        time.sleep(SILENT_SECONDS)
        self.note("CPU while silent", (self.usage()[0] - cpu) / SILENT_SECONDS)
        with Load(self.servers[0].port, 1, None, seconds=1, wait=WAIT) as load:
            said = load.go()
        self.note("p50", said["p50_us"])
        self.note("p99", said["p99_us"])
        with self.timed("send a message each"):
            if sum(said["echoes"] for said in self.ask(loads, "go")) != self.count:
                raise Trouble("there were more or fewer echoes than messages")
        with self.timed("end in good order"):
            cut = sum(said["cut"] for said in self.ask(loads, "end"))
            statuses = {server.process.wait(WAIT) for server in self.servers}
        if cut or statuses != {0}:
            raise Trouble(f"{cut:,.0f} connections were cut; exit statuses {statuses}")

    def ask(self, loads: list[Load], word: str) -> list[dict[str, float]]:
        for load in loads:
            load.order(word)
        for server in self.servers if word == "end" else ():
            server.process.send_signal(signal.SIGTERM)
        return [load.answer() for load in loads]


def measure(bench: Bench, wanted: int) -> None:
    count = allowed(wanted)

    def visit(server: Server) -> None:
        with ExitStack() as stack:
            Crowd(bench, server, count, stack).measure()

    bench.each([server for server in bench.servers if server.family != "floor"], visit)
