"""The measurements. Each returns figures: (what, which server) -> the rounds' values, or one."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterable

import processes
from processes import Load, Running, Trouble
from servers import BIG_FLOOR, FLOOR, Server

Figures = dict[tuple[str, str], list[float]]
Tell = Callable[[str], None]

SHAPES = ((1, 64), (50, 64), (1000, 64), (50, 16384), (10, 1048576))  # clients, bytes
SILENT = (1000, 10000)
FLOODS = 16
FEW, MANY = 1000, 3000  # messages: the difference has nothing of the start and the end in it
QUIET_SECONDS = 1.0
IMPATIENT = 5  # seconds


class Bench:
    def __init__(self, servers: list[Server], rounds: int, seconds: float, tell: Tell) -> None:
        self.servers, self.rounds, self.seconds, self.tell = servers, rounds, seconds, tell
        self.wrong: dict[str, str] = {}
        self.figures: Figures = defaultdict(list)

    def right(self, *families: str) -> list[Server]:
        return [server for server in self.servers if server.name not in self.wrong
                and (not families or server.family in families)]

    def one_by_one(self, servers: Iterable[Server], work: Callable[[Server], None]) -> None:
        """A server that is wrong is named, and not measured any more."""
        for server in servers:
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
            limits: dict[str, int] = {}

            def open_one(server: Server) -> None:
                running[server.name] = stack.enter_context(Running(server.command))

            self.one_by_one(self.servers, open_one)
            for number in range(1, self.rounds + 1):
                for shape in SHAPES:
                    self.tell(f"round {number} of {self.rounds}: {shape[0]} clients, "
                              f"{shape[1]} bytes")
                    self._round(running, shape, limits)

    def _round(self, running: dict[str, Running], shape: tuple[int, int],
               limits: dict[str, int]) -> None:
        clients, size = shape
        found: dict[str, tuple[float, float]] = {}

        def talk(server: Server) -> None:
            if limits.get(server.name, clients) < clients:
                return
            one = running[server.name]
            with Load(one.port, clients, bytes=size, seconds=self.seconds, wait=IMPATIENT) as load:
                if load.connected < clients:
                    limits[server.name] = load.connected
                    return
                before = one.usage()[0]
                said = load.go()
                cpu = (one.usage()[0] - before) / 1e3 / said["echoes"]
            found[server.name] = said["echoes"] / said["seconds"], cpu
            for what, value in (("echoes", found[server.name][0]), ("cpu", cpu),
                                ("p50", said["p50_us"]), ("p99", said["p99_us"])):
                self.figures[f"{what} {clients}x{size}", server.name].append(value)

        self.one_by_one(self.right(), talk)
        floor = found.get(FLOOR if size <= 1024 else BIG_FLOOR)
        for name, (rate, cpu) in found.items() if floor else ():
            self.figures[f"echoes-ratio {clients}x{size}", name].append(rate / floor[0])
            self.figures[f"cpu-ratio {clients}x{size}", name].append(cpu / floor[1])

    def workers(self) -> None:
        """Not on one core: what several threads make of all of them."""
        rows: dict[str, tuple[str, ...]] = {}
        for server in self.right("chapter"):
            if server.name == "02-threads":
                rows[server.name] = server.command
            if server.name == "05-async-tasks":
                rows.update({f"{server.name} --workers {count}":
                             (*server.command, "--workers", str(count)) for count in (1, 2)})

        def visit(server: Server) -> None:
            with Running(server.command, core=None) as one:
                with Load(one.port, 50, None, bytes=64, seconds=self.seconds) as load:
                    said = load.go()
            rate = said["echoes"] / said["seconds"]
            self.figures["echoes-all-cores 50x64", server.name].append(rate)

        for number in range(self.rounds if len(processes.CORES) > 1 else 0):
            self.tell(f"round {number + 1} of {self.rounds}: several threads, on all cores")
            self.one_by_one([Server(name, "chapter", command) for name, command in rows.items()
                             if name not in self.wrong], visit)

    def floods(self) -> None:
        """One client that asks and waits, beside those that send without a pause."""
        def visit(server: Server) -> None:
            with Running(server.command) as one:
                with Load(one.port, 1, bytes=64, seconds=5 * self.seconds, floods=FLOODS,
                          wait=IMPATIENT) as load:
                    if load.connected == 1:
                        self.figures["p99-beside-floods", server.name].append(load.go()["p99_us"])

        able = [server for server in self.right("chapter", "peer") if server.name != "01-blocking"]
        for number in range(self.rounds):
            self.tell(f"round {number + 1} of {self.rounds}: one client beside {FLOODS} floods")
            self.one_by_one([one for one in able if one.name not in self.wrong], visit)

    # ---- clients that are silent ---------------------------------------------------------

    def silent(self) -> None:
        self.one_by_one(self.right(), self._silent)

    def _silent(self, server: Server) -> None:
        if server.name == BIG_FLOOR:
            return  # it holds what the other floor holds
        with ExitStack() as stack:
            one = stack.enter_context(Running(server.command))
            resident, connected, kernel = one.resident(), 0, 0
            self._echo_beside(server, one, 0)
            for step in SILENT:
                self.tell(f"{server.name}: {step} silent connections")
                before = processes.kernel_bytes()
                load = stack.enter_context(Load(one.port, step - connected, wait=IMPATIENT))
                kernel += processes.kernel_bytes() - before
                connected += load.connected
                self.figures["held", server.name] = [connected]
                if connected < step:
                    break
                each = (one.resident() - resident) / step
                self.figures[f"resident {step}", server.name] = [each]
                self.figures[f"kernel {step}", server.name] = [kernel / step]
                self._echo_beside(server, one, step)
            before_quiet = one.usage()
            time.sleep(QUIET_SECONDS)
            wakeups = (one.usage()[1] - before_quiet[1]) / QUIET_SECONDS
            self.figures["wakeups", server.name] = [wakeups]

    def _echo_beside(self, server: Server, one: Running, silent: int) -> None:
        for _ in range(min(4, self.rounds)):
            with Load(one.port, 1, seconds=self.seconds, wait=IMPATIENT) as load:
                if load.connected == 1:
                    self.figures[f"beside {silent}", server.name].append(load.go()["p50_us"])

    # ---- what can be counted -------------------------------------------------------------

    def counted(self) -> dict[str, str]:
        """Returns what is missing for it."""
        missing = {tool: f"{tool} is missing (Debian: {tool})" for tool in ("strace", "valgrind")
                   if shutil.which(tool) is None}
        if "strace" not in missing:
            self.one_by_one(self.right(), self._calls)
        if "valgrind" not in missing:
            able = [one for one in self.right() if one.name not in ("Go", "Node", "asyncio")]
            self.one_by_one(able, self._instructions)
        return missing

    def _counted(self, server: Server, messages: int, *wrapper: str) -> str:
        """One client, so many echoes; what the wrapper has written."""
        with tempfile.TemporaryDirectory() as folder:
            words = [word.replace("{out}", f"{folder}/out") for word in wrapper]
            with Running(server.command, words) as one:
                with Load(one.port, 1, bytes=64, rounds=messages) as load:
                    load.go()
                one.stop()
            return "".join(path.read_text(errors="replace") for path in Path(folder).iterdir())

    def _calls(self, server: Server) -> None:
        self.tell(f"{server.name}: system calls")
        few, many = ({row[-1]: int(row[3]) for row in map(str.split, self._counted(
            server, messages, "strace", "-f", "-c", "-o", "{out}").splitlines())
            if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}
            for messages in (FEW, MANY))
        each = {name: (many[name] - few.get(name, 0)) / (MANY - FEW) for name in many}
        for name, count in sorted(each.items()):
            if count >= 0.005:
                self.figures[f"call {name}", server.name] = [count]
        self.figures["calls", server.name] = [sum(count for count in each.values()
                                                  if count >= 0.005)]

    def _instructions(self, server: Server) -> None:
        self.tell(f"{server.name}: instructions")
        few, many = (sum(map(int, re.findall(r"^totals: (\d+)", self._counted(
            server, messages, "valgrind", "-q", "--tool=callgrind",
            "--callgrind-out-file={out}.%p"), re.MULTILINE))) for messages in (FEW, MANY))
        self.figures["instructions", server.name] = [(many - few) / (MANY - FEW)]

