"""Processes: started with a clean environment, watched in /proc, and always ended."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence

if TYPE_CHECKING:  # the bench uses this module, where there may be no pytest
    from .story import Story

# Seconds without any progress after which a test gives up.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "15"))

# What a git hook, a make or a shell around us may have set, and no child of ours may see.
UNWANTED = re.compile(r"GIT_|MAKE|MFLAGS$|GNUMAKEFLAGS$|CDPATH$|SAN(ITIZE)?$|SUFFIX$"
                      r"|PYTEST_|COV_|THOROUGH$|SHIM|BASH_ENV$|ENV$")


def environment(more: Mapping[str, str] = {}) -> dict[str, str]:
    """CC, CFLAGS and LDFLAGS stay: whoever set them wants them."""
    clean = {name: value for name, value in os.environ.items() if not UNWANTED.match(name)}
    return {**clean, **more}


# ---- starting and ending ---------------------------------------------------------------

# A process beside us that outlives us, for a moment only: when its pipe ends because we are
# gone, for whatever reason, it kills the process groups that we have left behind.
UNDERTAKER = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try: os.killpg(group, signal.SIGKILL)
    except OSError: pass
"""
_lock = threading.Lock()


@lru_cache(maxsize=None)
def _undertaker(pid: int) -> IO[bytes]:
    process = subprocess.Popen([sys.executable, "-c", UNDERTAKER], stdin=subprocess.PIPE,
                               bufsize=0, start_new_session=True, env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.returncode = 0  # it ends after us: no warning that it still runs
    assert process.stdin
    return process.stdin


def _note(what: str, pid: int) -> None:
    with _lock:
        _undertaker(os.getpid()).write(f"{what}{pid}\n".encode())


def start(command: Sequence[str], env: Mapping[str, str] = {},
          **options: Any) -> "subprocess.Popen[bytes]":
    """A process group of its own, with nothing on its stdin unless `stdin` says so. `env` is
    added to the environment. End it with end()."""
    if options.get("stdin") is None:
        options["stdin"] = subprocess.DEVNULL
    process = subprocess.Popen([str(word) for word in command], env=environment(env),
                               start_new_session=True, **options)
    _note("+", process.pid)
    return process


def end(process: "subprocess.Popen[bytes]") -> None:
    """It and its whole process group are gone afterwards, but for zombies that init will take."""
    _kill_group(process.pid)
    process.wait()
    eventually(lambda: not _kill_group(process.pid) or not session_members(process.pid))
    _note("-", process.pid)


def _kill_group(group: int) -> bool:
    """Whether there was anybody to kill."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def run(command: Sequence[str], env: Mapping[str, str] = {}, within: float = PATIENCE,
        **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs it to its end, which must come `within` so many seconds; output as text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = start(command, env, **options)
    try:
        out, err = process.communicate(timeout=within)
    finally:
        end(process)
    text = [data if data is None else data.decode("utf-8", "replace") for data in (out, err)]
    return subprocess.CompletedProcess(command, process.returncode, *text)


def in_shell(command: Sequence[str], shell: str) -> list[str]:
    """`shell` is what a reader would type before: "ulimit -n 16", or after: ">&-"."""
    if not shell:
        return list(command)
    line = f'exec "$@" {shell}' if shell[0] in "<>2" else f'{shell} && exec "$@"'
    return ["sh", "-c", line, "sh", *command]


def holding(command: Sequence[str], below: int) -> list[str]:
    """Starts the command with every descriptor below this number in use already."""
    fill = ("import os, sys\n"
            "while os.dup(0) < int(sys.argv[1]): pass\n"
            "for held in range(3, int(sys.argv[1])): os.set_inheritable(held, True)\n"
            "os.execvp(sys.argv[2], sys.argv[2:])")
    return [sys.executable, "-c", fill, str(below), *command]


def status_name(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


# ---- waiting ---------------------------------------------------------------------------

def eventually(condition: Callable[[], Any], within: float = PATIENCE) -> bool:
    """For states that send no event: looks again and again until the deadline."""
    deadline, pause = time.monotonic() + within, 0.001
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    return True


def _can_read(pipe: IO[bytes], within_ms: Optional[int] = None) -> bool:
    poll = select.poll()  # select() has no room for a descriptor of 1,024 and more
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(within_ms))


class Output:
    """Reads a pipe to its end, always, so that it never fills: a log or a program's errors."""

    def __init__(self, story: Story, name: str, pipe: Optional[IO[bytes]]) -> None:
        self.story, self.name, self._pipe = story, name, pipe
        self._bytes = bytearray()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._pipe or contextlib.nullcontext() as pipe:
            while self._pipe:
                _can_read(pipe)
                with self._news:
                    self._read()
                    self._news.notify_all()

    def _read(self) -> None:
        """What is there by now."""
        if self._pipe and _can_read(self._pipe, within_ms=0):
            try:
                data = os.read(self._pipe.fileno(), 65536)
            except OSError:  # a pseudo-terminal whose other end is closed
                data = b""
            self._bytes += data
            if not data:
                self._pipe = None

    @property
    def text(self) -> str:
        """With all that was written before this call."""
        with self._news:
            self._read()
            return self._bytes.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def wait_for(self, condition: Callable[[str], Any], within: float = PATIENCE) -> bool:
        """Until the condition holds for the whole text so far."""
        deadline = time.monotonic() + within
        with self._news:
            while not condition(self._bytes.decode("utf-8", "replace")):
                left = deadline - time.monotonic()
                if left <= 0 or not self.is_open():
                    return False
                self._news.wait(min(left, 0.1))
        return True

    def expect(self, line: str) -> None:
        """This line, whole, must come."""
        came = self.wait_for(lambda text: line in text.splitlines())
        self.story.check(came, f"this line on {self.name}: {line}", f"what came is:\n{self.text}")

    def is_open(self) -> bool:
        """Whether anybody could still write to it."""
        return self._thread.is_alive()

    def expect_something(self) -> None:
        self.story.check(self.wait_for(bool), f"a line on {self.name}", "it is silent")

    def finish(self, within: float = PATIENCE) -> None:
        self._thread.join(within)


# ---- /proc -----------------------------------------------------------------------------

PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may contain anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["gone"]  # it has ended meanwhile


def state(pid: int) -> str:
    return _stat(pid)[0]


def session_members(session: int, zombies: bool = False) -> list[int]:
    """A process and all that it has forked: those that live, or those that have ended and for
    which nobody has waited."""
    stats = ((int(entry), _stat(int(entry))) for entry in os.listdir(PROC) if entry.isdigit())
    return [pid for pid, stat in stats
            if len(stat) > 3 and int(stat[3]) == session and (stat[0] == "Z") == zombies]


def awake_seconds(pids: Sequence[int]) -> float:
    """How long they have run or wanted to run: on a busy machine a process that spins gets
    little CPU, but it wants it all the time."""
    awake = 0.0
    for pid in pids:
        if not (PROC / "self" / "schedstat").exists():
            awake += sum(map(int, _stat(pid)[11:13])) * 1e9 / os.sysconf("SC_CLK_TCK")
        for statistics in PROC.glob(f"{pid}/task/*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                awake += sum(map(int, statistics.read_text().split()[:2]))
    return awake / 1e9


def status(pid: int, field: str) -> int:
    """A number of /proc/PID/status; 0 if the process has ended."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{field}:\s*(\d+)", (PROC / f"{pid}/status").read_text(), re.M)
        return int(found[1]) if found else 0
    return 0


def private_memory(pids: Sequence[int]) -> int:
    """Resident bytes of heap and stacks, without the program's own pages."""
    return sum(status(pid, "RssAnon") for pid in pids) * 1024


def peak_memory(pid: int) -> int:
    return status(pid, "VmHWM") * 1024


def descriptors(pids: Sequence[int]) -> int:
    return sum(len(_descriptor_entries(pid)) for pid in pids)


def _descriptor_entries(pid: int) -> list[str]:
    try:
        return os.listdir(PROC / str(pid) / "fd")
    except OSError:
        return []


def inherited_by_children(pid: int) -> list[str]:
    """Its descriptors that are not close-on-exec; 0, 1 and 2 never are."""
    found = []
    for name in _descriptor_entries(pid):
        with contextlib.suppress(OSError):  # closed meanwhile
            about = (PROC / f"{pid}/fdinfo/{name}").read_text()
            flags = re.search(r"^flags:\s*(\d+)", about, re.M)
            if int(name) > 2 and flags and not int(flags[1], 8) & os.O_CLOEXEC:
                found.append(f"{name}, a {os.readlink(PROC / f'{pid}/fd/{name}').split(':')[0]}")
    return sorted(found)


def listening(pid: int, port: int = 0) -> Optional[tuple[str, int]]:
    """The loopback address and the port at which this process, or with a port anybody in its
    network, listens."""
    own = set()
    for name in _descriptor_entries(pid) if not port else ():
        with contextlib.suppress(OSError):
            own.add(os.readlink(PROC / str(pid) / "fd" / name))
    for table, host in (("tcp", "127.0.0.1"), ("tcp6", "::1")):
        with contextlib.suppress(OSError), open(PROC / str(pid) / "net" / table) as lines:
            next(lines)
            for fields in map(str.split, lines):
                if fields[3] != "0A":
                    break  # those that listen come first
                at = int(fields[1].rpartition(":")[2], 16)
                if at == port or not port and f"socket:[{fields[9]}]" in own:
                    return host, at
    return None
