"""Who is measured: the chapters, the bare loop twice as the floor, and peers where asked for."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from processes import BUILD, TESTS, proc

CHAPTERS = ("01-blocking", "02-threads", "03-select", "04-epoll", "05-async-tasks")
FLOOR, BIG_FLOOR = "bare epoll, 1 KiB", "bare epoll, 64 KiB"

sys.path.insert(0, str(TESTS / "peers"))
from peers import PEERS  # noqa: E402


class Server(NamedTuple):
    name: str
    family: str  # chapter, floor or peer
    command: tuple[str, ...]  # {port} stands for the port


def _make(directory: Path, *targets: str) -> None:
    made = proc.run(["make", "-s", *targets], cwd=directory, within=600, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        raise SystemExit(f"{directory.name} cannot be built:\n{made.stdout}")


def _chapter(name: str) -> Server:
    """Built in a copy: the reader's own ./server may have been made with other flags."""
    copy = BUILD / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(TESTS.parent / name, copy, ignore=shutil.ignore_patterns("server", "client"))
    _make(copy, "server")
    return Server(name, "chapter", (str(copy / "server"), "--quiet", "--port", "{port}"))


def choose(chapters: list[str], peers: bool, foreign: str) -> list[Server]:
    """Builds them all, and says which cannot be measured here."""
    _make(TESTS / "bench")
    bare = str(BUILD / "bare_epoll")
    servers = [_chapter(name) for name in chapters]
    servers += [Server(FLOOR, "floor", (bare, "{port}", "1024")),
                Server(BIG_FLOOR, "floor", (bare, "{port}", "65536", "nodelay"))]
    if foreign:
        servers.append(Server("yours", "peer", tuple(shlex.split(foreign))))
    for peer in PEERS if peers else ():
        trouble = peer.trouble()
        if trouble:
            print(f"skipped: {peer.name}: {trouble}")
        else:
            servers.append(Server(peer.name, "peer", peer.start))
    return servers


def machine() -> dict[str, str]:
    cpu = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    version = [*shlex.split(os.environ.get("CC") or "cc"), "--version"]
    compiler = subprocess.run(version, text=True, check=False,
                              stdout=subprocess.PIPE).stdout.split("\n")[0]
    return {"processor": cpu[0] if cpu else os.uname().machine,
            "cores": str(len(os.sched_getaffinity(0))),
            "kernel": f"{os.uname().sysname} {os.uname().release}", "compiler": compiler,
            "flags": os.environ.get("CFLAGS") or "-O2 -g"}
