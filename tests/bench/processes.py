"""Starts and ends what is measured, and asks /proc what it has used."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Optional, Sequence

BUILD = Path(__file__).resolve().parent.parent / ".build" / "bench"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)
START_SECONDS = 20.0  # valgrind and Node take their time
PR_SET_PDEATHSIG = 1
SAY_SO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None)


class Trouble(Exception):
    """This server cannot be measured so: it does not start, or its echo is wrong."""


def environment() -> dict[str, str]:
    """Without what the make that calls us has set for itself."""
    return {name: value for name, value in os.environ.items()
            if not re.match("MAKE|MFLAGS|GIT_|CDPATH", name)}


def start(command: Sequence[str], core: Optional[int], **files: Any) -> "subprocess.Popen[str]":
    """In a session of its own: Ctrl-C reaches only us, and we end everything in it. Were we
    killed ourselves, the kernel would end it."""
    def prepare() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SAY_SO)
        if core is not None:
            os.sched_setaffinity(0, {core})
    # Between the fork and the moment when somebody knows of the child, no signal ends us.
    signal.pthread_sigmask(signal.SIG_BLOCK, SAY_SO)
    try:
        return subprocess.Popen(command, env=environment(), text=True, start_new_session=True,
                                preexec_fn=prepare, **files)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SAY_SO)


def end(process: "subprocess.Popen[str]") -> None:
    """With whatever it has started: they are one group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # a pipe that nobody reads any more
                stream.close()


def _listens(port: int) -> bool:
    """Connects to nobody: that would be a connection more."""
    state = re.compile(rf":{port:04X} \S+ 0A ")
    return any(state.search(Path(f"/proc/net/{table}").read_text()) for table in ("tcp", "tcp6")
               if Path(f"/proc/net/{table}").exists())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A server, on a core of its own. Use it with `with`."""

    def __init__(self, command: Sequence[str], wrapper: Sequence[str] = (),
                 core: Optional[int] = SERVER_CORE) -> None:
        self.port = _free_port()
        filled = [*wrapper, *(word.replace("{port}", str(self.port)) for word in command)]
        self.process = start(filled, core, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)

    def __enter__(self) -> "Running":
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _listens(self.port):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Trouble("it does not listen")
                time.sleep(0.01)
        except BaseException:
            end(self.process)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)

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
        """Heap and stacks in RAM: what no file backs."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"RssAnon:\s*(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0

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
        self._errors = tempfile.TemporaryFile("w+")
        self.process = start([str(BUILD / "load"), str(port), str(count), *pairs], core,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)

    def __enter__(self) -> "Load":
        try:
            self.connected = int(self.answer()["connected"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)
        self._errors.close()

    def order(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, float] = json.loads(line)
            return answer
        self.process.wait()
        self._errors.seek(0)
        raise Trouble("its echo is wrong: " + (self._errors.read().strip() or "the load ended"))

    def go(self) -> dict[str, float]:
        self.order("go")
        return self.answer()


def kernel_bytes() -> int:
    """Of the whole machine: sockets, files, the kernel's stacks, page tables."""
    text = Path("/proc/meminfo").read_text()
    found = re.findall(r"^(?:Slab|KernelStack|PageTables):\s*(\d+)", text, re.MULTILINE)
    return sum(map(int, found)) * 1024
