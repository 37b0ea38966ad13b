"""What is measured, and what drives it: a server and its clients, each on a core of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional, Sequence

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
from harness import proc  # noqa: E402

BUILD = TESTS / ".build" / "bench"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)
START_SECONDS = 20.0  # valgrind and Node take their time


class Trouble(Exception):
    """This server cannot be measured so: it does not start, or its echo is wrong."""


def pinned(core: Optional[int], command: Sequence[str]) -> list[str]:
    return [*(["taskset", "-c", str(core)] if core is not None else []), *command]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A server. Use it with `with`."""

    def __init__(self, command: Sequence[str], wrapper: Sequence[str] = (),
                 core: Optional[int] = SERVER_CORE) -> None:
        self.port = _free_port()
        filled = [word.replace("{port}", str(self.port)) for word in command]
        self.process = proc.start(pinned(core, [*wrapper, *filled]), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)

    def __enter__(self) -> "Running":
        try:
            if not proc.eventually(lambda: proc.listening(self.process.pid, self.port) or
                                   self.process.poll() is not None, START_SECONDS) \
                    or self.process.poll() is not None:
                raise Trouble("it does not listen")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        proc.end(self.process)

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
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            raise Trouble("it does not end") from None


class Load:
    """Clients: load.c. `connected` is how many of them the server has accepted."""

    def __init__(self, port: int, count: int, core: Optional[int] = LOAD_CORE,
                 **words: object) -> None:
        pairs = [str(part) for pair in words.items() for part in pair]
        self._errors = tempfile.TemporaryFile()
        self.process = proc.start(
            pinned(core, [str(BUILD / "load"), str(port), str(count), *pairs]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)

    def __enter__(self) -> "Load":
        try:
            self.connected = int(self.answer()["connected"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        proc.end(self.process)

    def order(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()

    def answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, float] = json.loads(line)
            return answer
        self.process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode().strip()
        raise Trouble(f"its echo is wrong: {said or 'the load ended'}")

    def go(self) -> dict[str, float]:
        self.order("go")
        return self.answer()


def kernel_bytes() -> int:
    """Of the whole machine: sockets, files, the kernel's stacks, page tables."""
    text = Path("/proc/meminfo").read_text()
    found = re.findall(r"^(?:Slab|KernelStack|PageTables):\s*(\d+)", text, re.MULTILINE)
    return sum(map(int, found)) * 1024
