#!/usr/bin/env python3
"""Runs the tests of the fault matrix on other people's servers; writes docs/faults-elsewhere.md.

    make -C tests/elsewhere page

Takes some minutes. Nobody else's behaviour is a test of ours: pytest looks at the page's shape.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from faults import FAULTS  # noqa: E402
from support import matrix  # noqa: E402

PAGE = TOP / "docs" / "faults-elsewhere.md"
NOT_PROMISED = "–"
PATIENCE = "6"  # seconds without progress


@dataclass(frozen=True)
class Elsewhere:
    name: str
    command: str
    version: str  # a command that tells it


SERVERS = (
    Elsewhere("socat", "socat -t30 TCP-LISTEN:{port},fork,reuseaddr,backlog=4096 EXEC:cat",
              "socat -V"),
    Elsewhere("asyncio", "/usr/bin/python3 tests/support/asyncio_echo.py {port}",
              "/usr/bin/python3 --version"),
    Elsewhere("Node", "node tests/elsewhere/node_echo.js {port}", "node --version"),
    Elsewhere("Tokio tutorial", "tests/elsewhere/build/tokio_echo {port}",
              "dpkg-query -W -f ${Version} librust-tokio-dev"),
    Elsewhere("libuv guide", "tests/elsewhere/build/libuv_echo {port}",
              "pkg-config --modversion libuv"),
    Elsewhere("libevent book", "tests/elsewhere/build/libevent_echo {port}",
              "pkg-config --modversion libevent"),
)


def version(server: Elsewhere) -> str:
    told = subprocess.run(shlex.split(server.version), stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False).stdout
    found = re.search(r"\d+\.\d[\w.]*", told)
    return found[0] if found else "(unknown)"


def run(server: Elsewhere) -> dict[int, str]:
    """What became of each fault."""
    with tempfile.NamedTemporaryFile() as results:
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/",
             "-m", "fault", "--server", server.command, "--faults-json", results.name],
            cwd=TOP, env={**os.environ, "TEST_PATIENCE": PATIENCE}, stdin=subprocess.DEVNULL,
            stdout=sys.stderr, check=False)
        told = json.loads(Path(results.name).read_text())
    return {cell["row"]: text_of(cell) for cell in told if cell["words"] or cell["failed"]}


def text_of(cell: dict[str, list[str]]) -> str:
    """Of several failures the first: the others mostly say the same with other numbers."""
    return "; ".join(sorted(cell["words"]) + [f"**failed**: {why}" for why in cell["failed"][:1]])


def commands() -> str:
    return matrix.table(["server", "version", "command"], [
        (server.name, version(server), f"`{server.command}`") for server in SERVERS])


def cells(results: dict[str, dict[int, str]]) -> str:
    return matrix.table(["#", "fault", *results], [
        (fault.number, fault.name, *(rows.get(fault.number, NOT_PROMISED)
                                     for rows in results.values()))
        for fault in FAULTS if any(fault.number in row for row in results.values())])


def main() -> None:
    missing = [server.name for server in SERVERS
               if shutil.which(shlex.split(server.command)[0], path=f"{TOP}:{os.environ['PATH']}")
               is None and not (TOP / shlex.split(server.command)[0]).exists()]
    if missing:
        sys.exit(f"not here: {', '.join(missing)}")
    results = {server.name: run(server) for server in SERVERS}
    text = PAGE.read_text(encoding="utf-8")
    text = matrix.put_between(text, "commands", commands())
    PAGE.write_text(matrix.put_between(text, "cells", cells(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
