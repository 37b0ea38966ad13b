"""make bench: what each way of serving costs, on this machine.

    python3 tests/bench/measure.py [--chapters 'NAME ...'] [--guests 'N ...'] [--out FOLDER]
                                   [--seconds S] [--rounds R] [--only PART] [--no-peers]
                                   [--alone COMMAND]

Without --chapters and --guests it measures everything, fills in docs/costs.md and draws its
pictures. With one of them it prints its table and leaves the page alone: what it finds is in
tests/bench/build/costs/.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import busy
import counts
import goals
import idle
import proc
import publish
from crowd import WrongEcho
from servers import BIG_FLOOR, CHAPTERS, EVERYBODY, Running, Server, Trouble, make, why_not

SPEAKING = [1, 10, 50, 1000]  # guests; and how many are silent:
SILENT = [1, 10, 100, 1000, 10000, 19000]
TINY = 64  # bytes
PARTS = ("busy", "idle", "calls", "instructions")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chapters", default=os.environ.get("CHAPTERS", ""))
    parser.add_argument("--guests", default=os.environ.get("GUESTS", ""))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=0.12, help="of one run")
    parser.add_argument("--rounds", type=int, default=9, help="if there is time for all of them")
    parser.add_argument("--alone", default="", metavar="COMMAND",
                        help="measure this server instead; {port} stands for its port")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--only", choices=PARTS, action="append",
                        help="this part (may be given again)")
    options = parser.parse_args()
    options.chapters, options.guests = options.chapters.split(), options.guests.split()
    unknown = set(options.chapters) - set(CHAPTERS)
    if unknown or not all(re.fullmatch("[1-9][0-9]*", number) for number in options.guests):
        parser.error(f"CHAPTERS are some of {' '.join(CHAPTERS)}; GUESTS are numbers from 1 on")
    return options


class Progress:
    """One line that changes, on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        line = f"{now - self.start:4.0f} s  {words}"
        if sys.stderr.isatty():
            print(f"\r\033[K{line[:78]}", end="", file=sys.stderr, flush=True)
        elif now - self.last > 10:
            print(line, file=sys.stderr, flush=True)
            self.last = now

    def done(self) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


# ---- who, and where --------------------------------------------------------------------------

def _first_line(*command: str) -> str:
    try:
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
    except OSError:
        return ""
    return ran.stdout.splitlines()[0] if ran.stdout else ""


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    named = re.search(r"^model name\s*:\s*(.+)", text, re.MULTILINE)
    return named[1].strip() if named else platform.machine()


def machine() -> dict[str, Any]:
    pinned = "server and load are not pinned: there is one core only"
    if proc.SERVER_CORE is not None:
        pinned = f"server on core {proc.SERVER_CORE}, load on core {proc.LOAD_CORE}"
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": len(proc.CORES),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": _first_line(*shlex.split(os.environ.get("CC") or "cc"), "--version"),
        "flags": os.environ.get("CFLAGS") or "-O2 -g",
        "descriptors": proc.DESCRIPTORS,
        "pinned": pinned,
    }


def choose(options: argparse.Namespace) -> list[Server]:
    """A foreign server is not compared with anybody: it is looked at, alone."""
    if options.alone:
        command = tuple(shlex.split(options.alone))
        return [Server("yours", "peer", command)]
    wanted = options.chapters or CHAPTERS
    return [server for server in EVERYBODY if (server.name in wanted or server.family == "floor" or
                                               server.family == "peer" and options.peers)]


def able(servers: list[Server], missing: dict[str, str], tell: busy.Tell) -> list[Server]:
    """Those who can be measured here; the others are missing, by name."""
    found = []
    for server in servers:
        tell(f"building {server.name}")
        reason = why_not(server)
        if reason:
            missing[server.name] = reason
        else:
            found.append(server)
    return found


# ---- what ------------------------------------------------------------------------------------

def measure_busy(servers: list[Server], options: argparse.Namespace,
                 tell: busy.Tell) -> dict[str, Any]:
    guests = list(map(int, options.guests)) or SPEAKING
    shapes = [busy.Shape(number, TINY) for number in guests if number <= 10000]
    shapes += busy.BIG if not options.guests else ()
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        open_ones = []
        for server in servers:
            try:
                open_ones.append(stack.enter_context(Running(server)))
            except Trouble as words:
                found[server.name] = {"wrong": str(words)}
        return found | busy.measure(open_ones, shapes, options.rounds, options.seconds, tell)


def measure_idle(servers: list[Server], options: argparse.Namespace,
                 tell: busy.Tell) -> dict[str, Any]:
    steps = sorted(map(int, options.guests)) or SILENT
    seconds, times = options.seconds / 3, min(4, options.rounds)
    return {server.name: idle.measure(server, steps, seconds, times, tell)
            for server in servers if server.name != BIG_FLOOR}  # it holds what FLOOR holds


def _count(servers: list[Server], tool: str, missing: dict[str, str], tell: busy.Tell,
           one: Callable[[Server], dict[str, Any]]) -> dict[str, Any]:
    """Counts do not depend on who else runs: two at a time."""
    def try_it(server: Server) -> dict[str, Any]:
        try:
            return one(server)
        except (Trouble, WrongEcho) as words:
            missing[f"{tool} of {server.name}"] = str(words)
            return {}
    if shutil.which(tool) is None:
        missing[tool] = f"{tool} is missing (Debian: {tool})"
        return {}
    tell(f"counting with {tool}")
    pool = ThreadPoolExecutor(2)
    try:
        return dict(zip((server.name for server in servers), pool.map(try_it, servers)))
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C only those under way are awaited


def measure_calls(servers: list[Server], missing: dict[str, str],
                  tell: busy.Tell) -> dict[str, Any]:
    return _count(servers, "strace", missing, tell, lambda server: {
        "calls": counts.system_calls(server), "strip": counts.strip(server)})


def measure_instructions(servers: list[Server], missing: dict[str, str],
                         tell: busy.Tell) -> dict[str, Any]:
    for server in servers:
        if not server.native:
            missing[f"instructions of {server.name}"] = "callgrind cannot run it"
    native = [server for server in servers if server.native]
    return _count(native, "valgrind", missing, tell, instructions_of)


def instructions_of(server: Server) -> dict[str, Any]:
    files = counts.instructions(server)
    found: dict[str, Any] = {"instructions": round(sum(files.values()), 1)}
    if server.name in goals.INSTRUCTIONS:
        found["files"] = files
        found["as_one_file"] = counts.instructions_as_one_file(server)
    return found


def merge(results: dict[str, Any], part: dict[str, Any]) -> None:
    """Whoever was wrong in one part is not measured in the others."""
    for name, found in part.items():
        if "wrong" in found:
            results["missing"][name] = found["wrong"]
            results["servers"].pop(name, None)
        elif name in results["servers"]:
            results["servers"][name].update(found)


def measure(options: argparse.Namespace, tell: busy.Tell) -> dict[str, Any]:
    missing: dict[str, str] = {}
    trouble = make("build/load")
    if trouble:
        raise SystemExit(f"the load cannot be built:\n{trouble}")
    servers = able(choose(options), missing, tell)
    results: dict[str, Any] = {
        "machine": machine(), "missing": missing,
        "seconds": options.seconds, "echoes_counted": [counts.FEW, counts.MANY],
        "servers": {server.name: {"family": server.family} for server in servers}}

    def still() -> list[Server]:
        return [server for server in servers if server.name in results["servers"]]

    parts = options.only or PARTS
    if "busy" in parts:
        merge(results, measure_busy(still(), options, tell))
    if "idle" in parts:
        results["socket_bytes"] = round(idle.bytes_of_a_socket())
        merge(results, measure_idle(still(), options, tell))
    if "calls" in parts:
        merge(results, measure_calls(still(), missing, tell))
    if "instructions" in parts:
        merge(results, measure_instructions(still(), missing, tell))
    return results


def _whole(options: argparse.Namespace) -> bool:
    everybody = set(options.chapters) in (set(), set(CHAPTERS)) and options.peers
    return everybody and not (options.guests or options.alone or options.only)


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that `with` ends what we started
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options, tell = arguments(), Progress()
    found = measure(options, tell)
    tell.done()
    publish.publish(found, _whole(options), options.out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted: nothing is kept", file=sys.stderr)
        sys.exit(130)
