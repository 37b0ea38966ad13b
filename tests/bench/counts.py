"""What does not depend on the machine's mood: system calls and instructions of an echo.

Two runs, one with more echoes than the other: the difference, divided by the echoes more, has
nothing in it of how a server begins and ends.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Optional

import callgrind
from crowd import Crowd
from servers import Running, Server, make

SIZE = 64
FEW, MANY = 1000, 3000
STRIP_ROUNDS = 20

CALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(?:.*) = (-?\d+)(?: (E\w+))?", re.ASCII)


def _talk(server: Server, wrapper: list[str], rounds: int) -> None:
    """One guest, so many echoes, with the server inside strace or valgrind."""
    with Running(server, wrapper) as running:
        with Crowd(running.port, 1, SIZE, "rounds", rounds) as crowd:
            crowd.speak()
        running.stop_the_wrapped()


def _calls(server: Server, rounds: int) -> dict[str, int]:
    """By name. The columns of strace -c: % time, seconds, usecs/call, calls, errors, name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "strace"
        _talk(server, ["strace", "-f", "-c", "-o", str(report)], rounds)
        rows = [line.split() for line in report.read_text().splitlines()]
    return {row[-1]: int(row[3]) for row in rows
            if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}


def system_calls(server: Server) -> dict[str, float]:
    """How often each is called for an echo."""
    few, many = _calls(server, FEW), _calls(server, MANY)
    a_message = {name: (many[name] - few.get(name, 0)) / (MANY - FEW) for name in many}
    return {name: round(count, 3) for name, count in a_message.items() if count >= 0.005}


def strip(server: Server) -> list[list[str]]:
    """The calls of one echo in their order, with their results: from one send to the next."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "strace"
        _talk(server, ["strace", "-f", "-o", str(report)], STRIP_ROUNDS)
        found = [call for call in map(CALL.match, report.read_text().splitlines()) if call]
    sends = [i for i, call in enumerate(found)
             if re.match("send|write", call[1]) and call[2] == str(SIZE)]
    middle = len(sends) // 2
    echo = found[sends[middle] + 1:sends[middle + 1] + 1] if len(sends) > 2 else []
    return [[call[1], call[3] or call[2]] for call in echo]


def _instructions(server: Server, rounds: int) -> Counter[str]:
    """Of all processes and threads together, file by file."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/out.%p"
        _talk(server, ["valgrind", "-q", "--tool=callgrind", out], rounds)
        texts = [path.read_text(errors="replace") for path in Path(folder).iterdir()]
    return sum(map(callgrind.by_file, texts), Counter())


def instructions(server: Server) -> dict[str, float]:
    """In user space, for an echo, by the file in which they stand."""
    few, many = _instructions(server, FEW), _instructions(server, MANY)
    a_message = {file: round((many[file] - few[file]) / (MANY - FEW), 1) for file in sorted(many)}
    return {file: count for file, count in a_message.items() if count >= 0.5}


def instructions_as_one_file(server: Server) -> Optional[float]:
    """The same server, built so that the compiler sees through the walls between its files."""
    whole = replace(server, command=(f"{server.command[0]}-flto", *server.command[1:]),
                    target=f"{server.target}-flto")
    if make(whole.target):
        return None
    return round(sum(instructions(whole).values()), 1)
