"""What /proc knows: no server can talk its way out of these numbers."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator, Optional, Union

PROC = Path("/proc")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
LISTEN = "0A"


def eventually(condition: Callable[[], bool], within: float) -> bool:
    """For states that send no event: looks again and again until the deadline."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may contain anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it has ended meanwhile


def state(pid: int) -> str:
    return (_stat(pid) or ["gone"])[0]


def sessions() -> dict[int, list[int]]:
    """All living processes, by the session in which they run."""
    members: dict[int, list[int]] = {}
    for pid in (int(entry) for entry in os.listdir(PROC) if entry.isdigit()):
        stat = _stat(pid)
        if stat and stat[0] != "Z":
            members.setdefault(int(stat[3]), []).append(pid)
    return members


def zombies(session: int) -> int:
    """Processes of this session that have ended, and for which nobody has called wait()."""
    stats = (_stat(int(entry)) for entry in os.listdir(PROC) if entry.isdigit())
    return sum(1 for stat in stats if stat and stat[0] == "Z" and int(stat[3]) == session)


def session_members(session: int) -> list[int]:
    """A server and all the processes it has forked."""
    return sessions().get(session, [])


def cpu_seconds(pids: list[int]) -> float:
    stats = [stat for stat in map(_stat, pids) if stat]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS_A_SECOND


def awake_seconds(pids: list[int]) -> float:
    """How long they have run, or wanted to: on a busy machine who spins gets little CPU, but
    he wants it all the time. Where the kernel does not tell: how long they have run."""
    if not (PROC / "self" / "schedstat").exists():
        return cpu_seconds(pids)
    awake = 0
    for pid in pids:
        for statistics in PROC.glob(f"{pid}/task/*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                ran, waited, _ = statistics.read_text().split()
                awake += int(ran) + int(waited)
    return awake / 1e9


def _status(pid: int, field: str) -> int:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), 0)


def private_memory(pids: list[int]) -> int:
    """Bytes of anonymous memory: heap and stacks, not the program's own pages."""
    return sum(_status(pid, "RssAnon") for pid in pids) * 1024


def threads(pids: list[int]) -> int:
    return sum(_status(pid, "Threads") for pid in pids)


def descriptors(pids: list[int]) -> int:
    count = 0
    for pid in pids:
        try:
            count += len(os.listdir(PROC / str(pid) / "fd"))
        except OSError:
            pass  # it has ended meanwhile
    return count


def inherited_by_children(pid: int) -> list[str]:
    """Its descriptors that are not close-on-exec, and what they are; 0, 1 and 2 never are."""
    found = []
    for entry in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            about = (PROC / str(pid) / "fdinfo" / entry.name).read_text()
            flags = next(line for line in about.splitlines() if line.startswith("flags:"))
            if int(entry.name) > 2 and not int(flags.split()[1], 8) & os.O_CLOEXEC:
                found.append(f"{entry.name}, a {os.readlink(entry).partition(':')[0]}")
    return sorted(found)


def peak_memory(pid: int) -> int:
    """The most bytes that it ever had in memory."""
    return _status(pid, "VmHWM") * 1024


def _listeners(pid: Union[int, str]) -> Iterator[tuple[str, int]]:
    """Table and port of every TCP socket that listens in the network of this process. They
    come first in the table; the thousands of connections after them would cost milliseconds."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(PROC / str(pid) / "net" / table) as lines:
            next(lines)
            for fields in map(str.split, lines):
                if fields[3] != LISTEN:
                    break
                yield table, int(fields[1].rpartition(":")[2], 16)


def listening_ports() -> set[int]:
    return {port for _, port in _listeners("self")}


def listening_host(port: int, pid: Union[int, str] = "self") -> Optional[str]:
    """The loopback address on which somebody listens at this port, if anybody does, in the
    network of this process."""
    tables = {table for table, at in _listeners(pid) if at == port}
    if "tcp" in tables:
        return "127.0.0.1"
    return "::1" if "tcp6" in tables else None


def free_port() -> int:
    """Below 32768: the kernel hands out those above to guests, who could then meet themselves.
    No old connection lingers there: a server need not set SO_REUSEADDR."""
    used = listening_ports()
    return next(port for port in _candidates
                if port not in used and _claim(port) and _can_be_bound(port))


_claims = open(Path(tempfile.gettempdir(), f"echo-test-ports-{os.getuid()}"), "ab")


def _claim(port: int) -> bool:
    """Another run of these tests may be looking for ports as well. Each locks one byte for each
    port it takes (fcntl(2)); the lock ends with its process."""
    try:
        fcntl.lockf(_claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_candidates = itertools.count(28_000 + os.getpid() * 97 % 4_000)


def take_ports_of_our_own(number: int) -> None:
    """For processes that run side by side: no two hand out the same ones, nor those from 28,000
    on, where all others look for theirs."""
    global _candidates
    _candidates = itertools.count(20_000 + 2_000 * number)
