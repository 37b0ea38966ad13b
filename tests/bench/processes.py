"""What is measured, and what drives it: a server and its clients, each on a core of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional, Sequence, TypeVar

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
from harness import proc  # noqa: E402

BUILD = TESTS / ".build" / "bench"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)
SLOW = 20.0  # seconds to start or to end: valgrind and Node take their time

START = time.monotonic()

Self = TypeVar("Self", bound="Program")


def tell(words: str) -> None:
    """How far it is: one line that changes, at a terminal."""
    line = f"{time.monotonic() - START:4.0f} s  {words}"[:78]
    print(f"\r\033[K{line}" if sys.stderr.isatty() else f"{line}\n", end="", file=sys.stderr,
          flush=True)


class Trouble(Exception):
    """This server cannot be measured so: it does not start, or its echo is wrong."""


class Program:
    """Started at once; `with` waits until it is ready, and ends it."""

    def __init__(self, core: Optional[int], command: Sequence[str], pipe: int) -> None:
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.process = proc.start([*pinned, *command], stdin=pipe, stdout=pipe, stderr=pipe,
                                  bufsize=0)

    def __enter__(self: Self) -> Self:
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        proc.end(self.process)

    def wait_until_ready(self) -> None:
        raise NotImplementedError


class Running(Program):
    """A server."""

    def __init__(self, command: Sequence[str], wrapper: Sequence[str] = (),
                 core: Optional[int] = SERVER_CORE) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        filled = [word.replace("{port}", str(self.port)) for word in command]
        super().__init__(core, [*wrapper, *filled], subprocess.DEVNULL)

    def wait_until_ready(self) -> None:
        if not proc.eventually(lambda: self.process.poll() is not None or
                               proc.listening(self.process.pid, self.port), SLOW) \
                or self.process.poll() is not None:
            raise Trouble("it does not listen")

    def usage(self) -> tuple[int, int]:
        """CPU in nanoseconds, and how often a thread has left the CPU, since it began."""
        cpu = switches = 0
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                cpu += int((thread / "schedstat").read_text().split()[0])
                found = re.findall(r"ctxt_switches:\s*(\d+)", (thread / "status").read_text())
                switches += sum(map(int, found))
            except OSError:
                pass  # a thread that has just ended
        return cpu, switches

    def resident(self) -> int:
        return proc.private_memory([self.process.pid])

    def stop(self) -> None:
        """In good order: what counts it (strace, valgrind) then writes its report."""
        os.killpg(self.process.pid, signal.SIGTERM)
        if not proc.eventually(lambda: self.process.poll() is not None, SLOW):
            raise Trouble("it does not end")


class Load(Program):
    """Clients: load.c. `connected` is how many of them the server has accepted."""

    def __init__(self, port: int, clients: int, core: Optional[int] = LOAD_CORE, *,
                 size: int = 64, seconds: float = 0, rounds: int = 0, floods: int = 0,
                 wait: int = 10) -> None:
        words = (port, clients, size, seconds, rounds, floods, wait)
        super().__init__(core, [str(BUILD / "load"), *map(str, words)], subprocess.PIPE)

    def wait_until_ready(self) -> None:
        self.connected = int(self.answer()["connected"])

    def order(self, word: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n".encode())

    def answer(self) -> dict[str, float]:
        assert self.process.stdout and self.process.stderr
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().decode().strip()
            raise Trouble(f"its echo is wrong: {said or 'the load ended'}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def go(self) -> dict[str, float]:
        self.order("go")
        return self.answer()


def kernel_bytes() -> int:
    """Of the whole machine: sockets, files, the kernel's stacks, page tables."""
    text = Path("/proc/meminfo").read_text()
    found = re.findall(r"^(?:Slab|KernelStack|PageTables):\s*(\d+)", text, re.MULTILINE)
    return sum(map(int, found)) * 1024
