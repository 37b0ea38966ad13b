"""Who is measured: the chapters, two bare loops as the floor, and the peers this machine has."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import proc

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
ASYNCIO = HERE.parent / "support" / "asyncio_echo.py"
PATIENCE = 20.0  # seconds until a server listens; valgrind and Node take their time
LAZY_SOFT_LIMIT = 1024  # descriptors that the chapters are started with: they must raise it

CHAPTERS = ("01-blocking", "02-threads", "03-select", "04-epoll", "05-async-tasks")
FLOOR = "bare epoll, 1 KiB"
BIG_FLOOR = "bare epoll, 64 KiB"


@dataclass(frozen=True)
class Server:
    name: str
    family: str  # chapter, floor or peer
    command: tuple[str, ...]  # {port} stands for the port
    target: str = ""  # what make builds for it
    needs: tuple[str, ...] = ()  # programs, any one missing: skipped
    package: str = ""  # where a reader gets it
    native: bool = True  # callgrind can run it

    def on(self, port: int) -> list[str]:
        return [word.replace("{port}", str(port)) for word in self.command]


def _built(name: str, family: str, target: str, *arguments: str, needs: tuple[str, ...] = (),
           package: str = "", native: bool = True) -> Server:
    command = (str(BUILD / target), *arguments)
    return Server(name, family, command, f"build/{target}", needs, package, native)


EVERYBODY = (
    *(_built(name, "chapter", name, "--quiet", "--port", "{port}") for name in CHAPTERS),
    _built(FLOOR, "floor", "bare_epoll", "{port}", "1024"),
    _built(BIG_FLOOR, "floor", "bare_epoll", "{port}", "65536", "nodelay"),
    _built("Tokio", "peer", "tokio", "{port}", needs=("cargo",), package="librust-tokio-dev"),
    _built("libuv", "peer", "libuv", "{port}", package="libuv1-dev"),
    _built("libevent", "peer", "libevent", "{port}", package="libevent-dev"),
    _built("Go", "peer", "go", "{port}", needs=("go",), package="golang-go", native=False),
    Server("Node", "peer", ("node", str(HERE / "node.js"), "{port}"), needs=("node",),
           package="nodejs", native=False),
    Server("asyncio", "peer", (sys.executable, str(ASYNCIO), "{port}"), native=False),
    Server("socat", "peer", ("socat", "TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,"
                             "backlog=4096", "PIPE"), needs=("socat",), package="socat",
           native=False),
)


def environment() -> dict[str, str]:
    """That of the reader, without what the make that calls us has put there for itself."""
    ours = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    return {name: value for name, value in os.environ.items() if name not in ours}


def make(target: str) -> str:
    """What went wrong; "" if nothing did."""
    making = proc.start(["make", "-s", "-C", str(HERE), target], None, environment(), talk=True,
                        stderr=subprocess.STDOUT)
    try:
        said = making.communicate()[0].strip()
    finally:
        proc.kill_session(making)
    return said or "make fails" if making.returncode != 0 else ""


def why_not(server: Server) -> str:
    """Why it cannot be measured here; "" if it can. Builds it."""
    hint = f" (Debian: {server.package})" if server.package else ""
    for program in server.needs:
        if shutil.which(program) is None:
            return f"{program} is missing{hint}"
    trouble = make(server.target) if server.target else ""
    if trouble and server.family == "peer":
        return f"cannot be built here{hint}"
    if trouble:
        raise SystemExit(f"{server.name} cannot be built:\n{trouble}")
    return ""


_ports = itertools.count(21000 + os.getpid() % 5000)
_one_at_a_time = threading.Lock()


def free_port() -> int:
    """Another one each time, below the ports that guests come from."""
    with _one_at_a_time:
        for port in itertools.takewhile(lambda port: port < 32000, _ports):
            with socket.socket() as door:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    door.bind(("127.0.0.1", port))
                    return port
    raise SystemExit("no free port below 32000")


class Trouble(Exception):
    """This server cannot be measured in this way."""


class Running:
    """A server in a session of its own, on the server's core. Use it with `with`."""

    def __init__(self, server: Server, wrapper: Sequence[str] = ()) -> None:
        self.server, self.port = server, free_port()
        soft = LAZY_SOFT_LIMIT if server.family == "chapter" else None
        self.process = proc.start([*wrapper, *server.on(self.port)], proc.SERVER_CORE,
                                  environment(), soft)

    def __enter__(self) -> "Running":
        deadline = time.monotonic() + PATIENCE
        while not proc.listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Trouble("it does not listen")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def family(self) -> list[int]:
        return proc.session(self.process.pid)

    def stop(self) -> None:
        proc.kill_session(self.process)

    def stop_the_wrapped(self, number: int = signal.SIGTERM) -> None:
        """Ends what runs inside strace or valgrind, and waits for their report."""
        inside = [pid for pid in self.family() if pid != self.process.pid]
        for pid in inside or [self.process.pid]:
            proc.send(pid, number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Trouble("it does not end") from None
