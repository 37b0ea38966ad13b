"""A server as a process: started, watched from outside, ended for certain."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import IO, Callable, Iterator, Optional, Sequence, Union

import pytest

from support import facts, shims
from support.chapters import Chapter
from support.guests import PATIENCE, Crowd, Guest
from support.networks import Network
from support.story import Story

SANITIZER = os.environ.get("SAN", "")
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
           "WARNING: ThreadSanitizer", "buffer overflow detected",
           "== Invalid ", "uninitialised", "definitely lost")  # the last three: valgrind
LISTENING = re.compile(r"^✅ Server listening on (.+):(\d+)$", re.MULTILINE)

LOOKS = 6  # at the CPU; one calm look is enough

Output = Union[None, int, IO[bytes]]


@lru_cache(maxsize=None)
def build(chapter: Chapter) -> str:
    """Runs make once in each session. Returns what went wrong, if anything did."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ["make", "-s", "-C", str(chapter.directory)]
    command += [f"SAN={SANITIZER}"] if SANITIZER else []
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment, check=False)
    return "" if made.returncode == 0 else f"{shlex.join(command)} failed:\n{made.stdout}"


def binary(chapter: Chapter, program: str) -> Path:
    """03-select/server, or 03-select/server-address when SAN=address. Built when needed."""
    trouble = build(chapter)
    if trouble:
        pytest.fail(trouble, pytrace=False)
    return chapter.directory / (f"{program}-{SANITIZER}" if SANITIZER else program)


def run_program(story: Story, path: Path, *arguments: str,
                held_below: int = 0,
                before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """For programs that are expected to end by themselves."""
    command = shlex.join([f"{path.parent.name}/{path.name}", *arguments])
    story.tell(f"ran {command}")
    try:
        return subprocess.run([*before, *holding([str(path), *arguments], held_below)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, encoding="utf-8",
                              timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        story.fail(f"{command} to end", f"it is still running after {PATIENCE:g} seconds")


def holding(command: Sequence[str], below: int) -> list[str]:
    """Starts the command with every descriptor below this number in use already."""
    if not below:
        return list(command)
    fill = ("import os, sys\n"
            "while os.dup(0) < int(sys.argv[1]): pass\n"
            "for held in range(3, int(sys.argv[1])): os.set_inheritable(held, True)\n"
            "os.execvp(sys.argv[2], sys.argv[2:])")
    return [sys.executable, "-c", fill, str(below), *command]


def in_shell(command: Sequence[str], shell: str) -> list[str]:
    """`shell` is what a reader would type before: "ulimit -n 16", or after: ">&-"."""
    if not shell:
        return list(command)
    if shell.startswith(">"):
        return ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return ["sh", "-c", f'{shell} && exec "$@"', "sh", *command]


class Drain:
    """Reads a pipe to its end, always, so that it never fills. Without a pipe: silence."""

    def __init__(self, pipe: Optional[IO[bytes]]) -> None:
        self._bytes = bytearray()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(pipe,), daemon=True)
        self._thread.start()

    def _run(self, pipe: Optional[IO[bytes]]) -> None:
        with pipe or contextlib.nullcontext():
            while pipe:
                data = os.read(pipe.fileno(), 65536)
                with self._news:
                    self._bytes += data
                    self._news.notify_all()
                if not data:
                    return

    @property
    def text(self) -> str:
        with self._news:
            return self._bytes.decode("utf-8", "replace")

    @property
    def size(self) -> int:
        return len(self._bytes)

    def wait_for(self, condition: Callable[[str], bool], within: float) -> bool:
        deadline = time.monotonic() + within
        with self._news:
            while not condition(self._bytes.decode("utf-8", "replace")):
                left = deadline - time.monotonic()
                ended = not self._thread.is_alive()
                if left <= 0 or ended:
                    return False
                self._news.wait(min(left, 0.1))
        return True

    def finish(self, within: float = PATIENCE) -> None:
        self._thread.join(within)


class Server:
    """One server. `command` is the reader's, with {port}, or else our chapter's own."""

    def __init__(self, chapter: Chapter, story: Story, *arguments: str, command: str = "",
                 shell: str = "", port: Optional[int] = 0, stdout: Output = None,
                 stderr: Output = None, held_below: int = 0, shim: str = shims.WORDS,
                 note: str = "", before: Sequence[str] = (),
                 network: Optional[Network] = None) -> None:
        self.chapter = chapter
        self.story = story
        self.host = "127.0.0.1"
        self.network = network
        self.port = port or 0  # 0: the kernel chooses; None: without the option
        self.ended: Optional[int] = None  # the exit status, once the test has asked for it
        self._guests: list[Guest] = []
        knows_port = stdout is None and not command and not shell.startswith(">")
        if not knows_port and not self.port:
            self.port = facts.free_port()
        options = [] if port is None else ["--port", str(self.port)]
        argv = self._argv(command, [*options, *arguments])
        self.name = f"{chapter.name}/{Path(argv[0]).name}" if not command else shlex.join(argv)
        story.tell(f"started {shims.as_typed(shim)}{self._as_typed(argv, shell, before)}")
        argv = [*(network.enter if network else ()), *before, *shims.before(shim, note), *argv]
        try:
            self.process = subprocess.Popen(
                holding(in_shell(argv, shell), held_below), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.PIPE if stderr is None else stderr, start_new_session=True)
        except OSError as error:
            story.fail("the server to start", f"it cannot: {error}")
        self.stdout = Drain(self.process.stdout)
        self.stderr = Drain(self.process.stderr)
        story.witnesses.append(self)
        self._forks = chapter.is_foreign

    def _argv(self, command: str, arguments: Sequence[str]) -> list[str]:
        if command:
            return [word.replace("{port}", str(self.port)) for word in shlex.split(command)]
        return [str(binary(self.chapter, "server")), *arguments]

    def _as_typed(self, argv: Sequence[str], shell: str, before: Sequence[str]) -> str:
        ours = self.name.startswith(self.chapter.name)  # else a command, which says it all
        named = [self.name, *argv[1:]] if ours else argv
        typed = shlex.join([*before, *named])
        if not shell:
            return typed
        return f"{typed} {shell}" if shell.startswith(">") else f"{shell}; {typed}"

    # Starting

    def wait_until_ready(self) -> Server:
        """By its own words or by the kernel's: a probe connection would be a guest."""
        if self.port:
            there = facts.eventually(self._listens_or_is_dead, PATIENCE)
            self.host = facts.listening_host(self.port, self.process.pid) or self.host
        else:
            there = self.stdout.wait_for(lambda text: bool(LISTENING.search(text)), PATIENCE)
            found = LISTENING.search(self.stdout.text)
            if found:
                self.host, self.port = found[1].strip("[]"), int(found[2])
        if not there or self.process.poll() is not None:
            self.story.fail("the server to listen", "it does not")
        self.story.tell(f"it listens at port {self.port}")
        return self

    def _listens_or_is_dead(self) -> bool:
        return self.listens() or self.process.poll() is not None

    def listens(self) -> bool:
        return facts.listening_host(self.port, self.process.pid) is not None

    # Guests

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def expected_guest(self, receive_buffer: int = 0) -> Guest:
        """A guest who has not set out yet."""
        guest = Guest(self.story, self.address, receive_buffer=receive_buffer,
                      make_socket=self.network.socket if self.network else socket.socket)
        self._guests.append(guest)
        return guest

    def guest(self, receive_buffer: int = 0) -> Guest:
        guest = self.expected_guest(receive_buffer)
        guest.knock()
        guest.step_in()
        return guest

    def crowd(self, count: int, receive_buffer: int = 0, knock_only: bool = False) -> Crowd:
        verb = "knocked" if knock_only else "connected"
        with self.story.summed_up(f"{count} guests {verb}"):
            crowd = Crowd(self.expected_guest(receive_buffer) for _ in range(count))
            for guest in crowd:
                guest.knock()
            for guest in crowd if not knock_only else ():
                guest.step_in()
        return crowd

    def serves_a_new_guest(self) -> None:
        guest = self.guest()
        guest.say(b"Are you still there?")
        guest.leave()

    def leave_descriptors(self, more: int) -> None:
        """Allows it so many descriptors beyond its highest; as `ulimit -n` would, but for
        servers of which nobody knows how many they need to start with."""
        for pid in self.pids:
            allowed = 1 + more + max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (allowed, allowed))
        self.story.tell(f"allowed it {more} descriptors more than it had")

    # Watching

    def expect_memory(self, at_most: int) -> None:
        """A little more is no leak; and a heap with a garbage collector may grow at first. A
        sanitizer keeps on purpose what was freed."""
        room = (32 if self.chapter.is_foreign else 4) << 20
        growth = self.memory() - at_most
        self.story.check(bool(SANITIZER) or growth < room, "memory to stay as it was",
                         f"it grew by {growth >> 10} KiB")

    @property
    def pids(self) -> list[int]:
        return facts.session_members(self.process.pid) if self._forks else [self.process.pid]

    def descriptors(self) -> int:
        return facts.descriptors(self.pids)

    def threads(self) -> int:
        return facts.threads(self.pids)

    def memory(self) -> int:
        return facts.private_memory(self.pids)

    def load(self, seconds: float = 0.3) -> float:
        """The share of one core that it uses, over a window of real time."""
        pids = self.pids
        awake, start = facts.awake_seconds(pids), time.monotonic()
        time.sleep(seconds)
        return (facts.awake_seconds(pids) - awake) / (time.monotonic() - start)

    def expect_calm(self, when: str) -> None:
        """Next to no CPU. One calm window is enough: what spins never has one."""
        self.story.tell(f"watched the server's CPU {when}")
        loads = []
        for _ in range(LOOKS):
            loads.append(self.load())
            if loads[-1] < 0.2:
                return
        self.story.fail("the server to sleep while nothing can be done",
                        f"in each of {LOOKS} looks it kept {min(loads):.0%} of a core busy or "
                        "more: it spins")

    def expect_descriptors(self, at_most: int) -> None:
        self.story.check(
            facts.eventually(lambda: self.descriptors() <= at_most, PATIENCE),
            f"no more than the {at_most} descriptors that were open before",
            f"{self.descriptors()} are open: some are never closed")

    def expect_threads(self, at_most: int) -> None:
        self.story.check(
            facts.eventually(lambda: self.threads() <= at_most, PATIENCE),
            f"no more than the {at_most} threads that there were before",
            f"there are {self.threads()}: some never end")

    def expect_no_zombies(self) -> None:
        zombies = lambda: facts.zombies(self.process.pid)
        self.story.check(facts.eventually(lambda: zombies() == 0, PATIENCE),
                         "the server to wait for each child that has ended",
                         f"{zombies()} zombies are left in the table of processes")

    def expect_line(self, line: str, stream: str = "stdout") -> None:
        drain = self.stdout if stream == "stdout" else self.stderr
        came = drain.wait_for(lambda text: line in text.splitlines(), PATIENCE)
        self.story.check(came, f"this line on {stream}: {line}",
                         f"what came is:\n{tail(drain.text)}")

    # Signals

    def signal(self, number: signal.Signals) -> None:
        self.story.tell(f"sent {number.name} to the server")
        os.killpg(self.process.pid, number)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside has all happened when the server looks again."""
        self.signal(signal.SIGSTOP)
        asleep = facts.eventually(
            lambda: all(facts.state(pid) in ("T", "gone") for pid in self.pids), PATIENCE)
        self.story.check(asleep, "the server to stop", "it did not")
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    # Ending

    def expect_end(self, *statuses: int, within: float = PATIENCE) -> None:
        """Waits for the end; the exit status must be one of these (-15: by SIGTERM)."""
        wanted = " or ".join(status_name(status) for status in statuses)
        try:
            self.ended = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.story.fail(f"the server to end with {wanted} within {within:g} seconds",
                            "it is still running")
        self.story.check(self.ended in statuses, f"the server to end with {wanted}",
                         f"it ended with {status_name(self.ended)}")
        self.story.tell(f"the server ended with {status_name(self.ended)}")

    def expect_health(self) -> None:
        """At the end of every test: it lives, unless it was told to end, and no sanitizer
        has complained."""
        if self.descriptors() == 0:  # it has ended, or is about to
            facts.eventually(lambda: self.process.poll() is not None, PATIENCE)
        if self.ended is None and self.process.poll() is not None:
            self.story.fail("the server to live", "it has ended by itself")
        if any(report in self.stderr.text for report in REPORTS):
            self.story.fail("no report of a sanitizer", "there is one")

    def testimony(self) -> str:
        facts.eventually(lambda: self.process.poll() is not None, 0.2)  # it may be dying just now
        status = self.process.poll()
        fate = "is still running" if status is None else f"ended with {status_name(status)}"
        if status is not None:
            self.stderr.finish(within=1)  # its last words may still be on their way
        lines = [f"\nThe server {self.name} {fate}."]
        if self.stderr.text:
            lines += ["Its last words on stderr:", tail(self.stderr.text)]
        return "\n".join(lines)

    def stop(self) -> None:
        """Whatever happened: afterwards there is neither process nor open socket."""
        for guest in self._guests:
            guest.close()
        if SANITIZER and self.chapter.clean_goodbye and self.process.poll() is None:
            self._end_politely()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for drain in (self.stdout, self.stderr):
            drain.finish()
        gone = facts.eventually(lambda: not facts.session_members(self.process.pid), PATIENCE)
        assert gone, f"{self.name} left processes behind"

    def expect_closed_port(self) -> None:
        """Afterwards, when no other server of the same test can have it either."""
        if self.network:
            return  # this machine's port of the same number is somebody else's
        closed = facts.eventually(lambda: self.port not in facts.listening_ports(), PATIENCE)
        assert closed, f"{self.name} left port {self.port} open"

    def _end_politely(self) -> None:
        """A leak is reported only by a process that ends by itself."""
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(8)  # more than the 5 seconds that guests have to finish


def status_name(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


def tail(text: str, lines: int = 12) -> str:
    return "\n".join("  " + line for line in text.splitlines()[-lines:]) or "  (nothing)"
