"""The measurements: figures[what, which server] are the rounds' values, or one."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterable

from processes import CORES, Load, Running, Trouble, kernel_bytes, tell
from servers import BIG_FLOOR, FLOOR, Server

Figures = dict[tuple[str, str], list[float]]

SECONDS = 0.12  # of one run
SHAPES = ((1, 64), (50, 64), (1000, 64), (50, 16384), (10, 1048576))  # clients, bytes
SILENT = (1000, 10000)
FLOODS = 16
FEW, MANY = 1000, 3000  # messages: the difference has nothing of the start and the end in it
IMPATIENT = 5  # seconds


class Bench:
    def __init__(self, servers: list[Server], rounds: int) -> None:
        self.servers, self.rounds = servers, rounds
        self.wrong: dict[str, str] = {}
        self.figures: Figures = defaultdict(list)

    def each(self, servers: Iterable[Server], work: Callable[[Server], None]) -> None:
        """A server that is wrong is named, and not measured any more."""
        for server in servers:
            if server.name not in self.wrong:
                try:
                    work(server)
                except Trouble as trouble:
                    self.wrong[server.name] = str(trouble)

    # ---- clients that talk ---------------------------------------------------------------

    def busy(self) -> None:
        """All servers stay open, and in each round each has its turn: whatever slows the
        machine for a while slows them all."""
        with ExitStack() as stack:
            running: dict[str, Running] = {}
            full: set[tuple[str, int]] = set()  # who cannot serve so many clients

            def open_one(server: Server) -> None:
                running[server.name] = stack.enter_context(Running(server.command))

            def talk(server: Server) -> None:
                if (server.name, clients) not in full and \
                        not self._talk(server.name, running[server.name], clients, size):
                    full.add((server.name, clients))

            self.each(self.servers, open_one)
            for number in range(1, self.rounds + 1):
                for clients, size in SHAPES:
                    tell(f"round {number} of {self.rounds}: {clients} clients, {size} bytes")
                    self.each(self.servers, talk)
        for clients, size in SHAPES:
            for what in ("echoes", "cpu"):
                floor = self.figures[f"{what} {clients}x{size}", FLOOR if size <= 1024 else BIG_FLOOR]
                for server in self.servers:
                    values = self.figures[f"{what} {clients}x{size}", server.name]
                    self.figures[f"{what}-ratio {clients}x{size}", server.name] = [
                        value / least for value, least in zip(values, floor)]

    def _talk(self, name: str, one: Running, clients: int, size: int) -> bool:
        with Load(one.port, clients, size=size, seconds=SECONDS, wait=IMPATIENT) as load:
            if load.connected < clients:
                return False
            before = one.usage()[0]
            said = load.go()
            cpu = one.usage()[0] - before
        for what, value in (("echoes", said["echoes"] / said["seconds"]), ("p50", said["p50_us"]),
                            ("cpu", cpu / 1e3 / said["echoes"]), ("p99", said["p99_us"])):
            self.figures[f"{what} {clients}x{size}", name].append(value)
        return True

    def workers(self) -> None:
        """Not on one core: what several threads make of all of them."""
        rows = [server for server in self.servers if server.name == "02-threads"]
        rows += [Server(f"{one.name} --workers {count}", "chapter",
                        (*one.command, "--workers", str(count)))
                 for one in self.servers if one.name == "05-async-tasks" for count in (1, 2)]

        def visit(server: Server) -> None:
            with Running(server.command, core=None) as one:
                with Load(one.port, 50, None, seconds=SECONDS) as load:
                    said = load.go()
            rate = said["echoes"] / said["seconds"]
            self.figures["echoes-all-cores 50x64", server.name].append(rate)

        self._in_rounds("several threads, on all cores", rows if len(CORES) > 1 else [], visit)

    def floods(self) -> None:
        """One client that asks and waits, beside those that send without a pause."""
        def visit(server: Server) -> None:
            with Running(server.command) as one:
                with Load(one.port, 1, seconds=5 * SECONDS, floods=FLOODS,
                          wait=IMPATIENT) as load:
                    if load.connected == 1:
                        self.figures["p99-beside-floods", server.name].append(load.go()["p99_us"])

        able = [server for server in self.servers if server.family != "floor"
                and server.name != "01-blocking"]
        self._in_rounds(f"one client beside {FLOODS} floods", able, visit)

    def _in_rounds(self, what: str, servers: list[Server], work: Callable[[Server], None]) -> None:
        for number in range(1, self.rounds + 1 if servers else 1):
            tell(f"round {number} of {self.rounds}: {what}")
            self.each(servers, work)

    # ---- clients that are silent ---------------------------------------------------------

    def silent(self) -> None:
        self.each([server for server in self.servers if server.name != BIG_FLOOR], self._silent)

    def _silent(self, server: Server) -> None:
        with ExitStack() as stack:
            one = stack.enter_context(Running(server.command))
            resident, connected, kernel = one.resident(), 0, 0
            self._echo_beside(server, one, 0)
            for step in SILENT:
                tell(f"{server.name}: {step} silent connections")
                before = kernel_bytes()
                load = stack.enter_context(Load(one.port, step - connected, wait=IMPATIENT))
                kernel += kernel_bytes() - before
                connected += load.connected
                self.figures["held", server.name] = [connected]
                if connected < step:
                    break
                each = (one.resident() - resident) / step
                self.figures[f"resident {step}", server.name] = [each]
                self.figures[f"kernel {step}", server.name] = [kernel / step]
                self._echo_beside(server, one, step)
            before = one.usage()[1]
            time.sleep(1)
            self.figures["wakeups", server.name] = [one.usage()[1] - before]

    def _echo_beside(self, server: Server, one: Running, silent: int) -> None:
        for _ in range(min(4, self.rounds)):
            with Load(one.port, 1, seconds=SECONDS, wait=IMPATIENT) as load:
                if load.connected == 1:
                    self.figures[f"beside {silent}", server.name].append(load.go()["p50_us"])

    # ---- what can be counted -------------------------------------------------------------

    def counted(self) -> None:
        self._count("calls", "strace", r"^100\.00 +\S+ +\S+ +(\d+).* total$", "-fco", "{out}")
        self._count("instructions", "valgrind", r"^totals: (\d+)", "-q", "--tool=callgrind",
                    "--callgrind-out-file={out}.%p")

    def _count(self, what: str, tool: str, pattern: str, *options: str) -> None:
        """One client, few messages and then many; `pattern` finds what the tool has counted."""
        def run(server: Server, messages: int) -> int:
            with tempfile.TemporaryDirectory() as folder:
                words = [word.replace("{out}", f"{folder}/out") for word in options]
                with Running(server.command, [tool, *words]) as one:
                    with Load(one.port, 1, rounds=messages) as load:
                        load.go()
                    one.stop()
                said = "".join(path.read_text(errors="replace") for path in Path(folder).iterdir())
            return sum(map(int, re.findall(pattern, said, re.MULTILINE)))

        def count(server: Server) -> None:
            tell(f"{server.name}: {what}")
            more = run(server, MANY) - run(server, FEW)
            self.figures[what, server.name] = [more / (MANY - FEW)]

        if not shutil.which(tool):
            print(f"skipped: {what}: {tool} is missing (Debian: {tool})")
            return
        unable = ("Go", "Node", "asyncio") if tool == "valgrind" else ()
        self.each([server for server in self.servers if server.name not in unable], count)
