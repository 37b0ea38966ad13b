"""What /proc knows of the servers, and how processes of ours are started and ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Iterable, Iterator, Optional, Union

PROC = Path("/proc")
PR_SET_PDEATHSIG = 1
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

_libc = ctypes.CDLL(None, use_errno=True)


# ---- our processes ---------------------------------------------------------------------------

def _prepare(core: Optional[int], soft: Optional[int]) -> None:
    """In the child, before exec: who dies with us, runs there, and may open so many files."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if core is not None:
        os.sched_setaffinity(0, {core})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft is None else min(soft, hard), hard))
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(command: list[str], core: Optional[int], environment: dict[str, str],
          soft: Optional[int] = None, talk: bool = False,
          stderr: Union[int, IO[str]] = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """In a session of its own: Ctrl-C comes to us alone, and we end all that is in it."""
    pipe = subprocess.PIPE if talk else subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True,
                            stdin=pipe, stdout=pipe, stderr=stderr,
                            preexec_fn=lambda: _prepare(core, soft))


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_session(process: "subprocess.Popen[str]") -> None:
    """Again until nobody is left: somebody may just have been forked."""
    while members := session(process.pid):
        for pid in members:
            send(pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.002)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):  # a pipe that nobody reads any more
                stream.close()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may contain anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it has ended meanwhile


def session(leader: int) -> list[int]:
    """A server with all that it has forked; without those who are dead already."""
    found = []
    for entry in os.listdir(PROC):
        stat = _stat(int(entry)) if entry.isdigit() else []
        if stat and int(stat[3]) == leader and stat[0] not in "ZX":
            found.append(int(entry))
    return found


def listens(port: int) -> bool:
    """Asks nobody: a guest who only knocks would be counted."""
    wanted = f":{port:04X} "
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(PROC / "net" / table, encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                if fields[3] == "0A" and f"{fields[1]} ".endswith(wanted):
                    return True
    return False


# ---- time ------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Usage:
    """What a family of processes has used since it began."""
    cpu_ns: int = 0
    switches: int = 0  # how often its threads left the CPU

    def __sub__(self, earlier: "Usage") -> "Usage":
        return Usage(self.cpu_ns - earlier.cpu_ns, self.switches - earlier.switches)


def _threads(pids: Iterable[int]) -> Iterator[Path]:
    for pid in pids:
        with contextlib.suppress(OSError):
            yield from (PROC / str(pid) / "task").iterdir()


def _cpu_ns(thread: Path) -> int:
    """In nanoseconds where the kernel tells (CONFIG_SCHED_INFO), else in its ticks."""
    with contextlib.suppress(OSError):
        return int((thread / "schedstat").read_text().split()[0])
    stat = _stat(int(thread.name))
    return (int(stat[11]) + int(stat[12])) * TICK_NS if stat else 0


def usage(pids: list[int]) -> Usage:
    cpu_ns = switches = 0
    for thread in _threads(pids):
        with contextlib.suppress(OSError):
            cpu_ns += _cpu_ns(thread)
            text = (thread / "status").read_text()
            switches += sum(map(int, re.findall(r"voluntary_ctxt_switches:\s*(\d+)", text)))
    return Usage(cpu_ns, switches)


# ---- memory ----------------------------------------------------------------------------------

@dataclass(frozen=True)
class Memory:
    """In bytes. resident: heap and stacks, which no file backs and which are in RAM."""
    resident: int
    virtual: int
    threads: int


def _kilobytes(text: str, name: str) -> Optional[int]:
    found = re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def memory(pids: list[int]) -> Memory:
    resident = virtual = threads = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            status = (PROC / str(pid) / "status").read_text()
            virtual += _kilobytes(status, "VmSize") or 0
            resident += _own(pid, status, shared=len(pids) > 1)
            threads += int((re.search(r"^Threads:\s*(\d+)", status, re.MULTILINE) or [0, 0])[1])
    return Memory(resident, virtual, threads)


def _own(pid: int, status: str, shared: bool) -> int:
    """Forked processes share pages: each has its part of them (Pss)."""
    if shared:
        part = _kilobytes((PROC / str(pid) / "smaps_rollup").read_text(), "Pss_Anon")
        if part is not None:
            return part
    return _kilobytes(status, "RssAnon") or 0


def kernel_memory() -> int:
    """Of the whole machine: sockets and files (slab), the kernel's stacks, page tables."""
    text = (PROC / "meminfo").read_text()
    return sum(_kilobytes(text, name) or 0 for name in ("Slab", "KernelStack", "PageTables"))
