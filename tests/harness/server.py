"""A server as a process: started, watched from outside, ended for certain."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import shlex
import signal
import socket
import subprocess
import time
from typing import Any, Callable, Iterator, Optional, Sequence

from . import proc
from .chapters import VARIANT, Chapter
from .client import Client, Crowd
from .network import Network
from .proc import PATIENCE, Output
from .program import Program, Stream
from .story import Story

REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
           "WARNING: ThreadSanitizer", "buffer overflow detected",
           "== Invalid ", "uninitialised", "definitely lost")  # the last three: valgrind
LISTENING = re.compile(r"^✅ Server listening on (.+):(\d+)$", re.MULTILINE)
SANITIZED = VARIANT != "plain"
GLIMPSE = 0.1  # seconds: enough to say "it waits" where that is what we expect

class Server(Program):
    """`./server --port 0` of a chapter, or the reader's `command` with {port} in it. See
    Program for more options, and

    port     another number than 0; None: without the option
    stdout, stderr   a descriptor of ours instead of a pipe that is read
    network  where it runs, if not in ours
    """

    role = "server"

    def __init__(self, chapter: Chapter, story: Story, *arguments: str, command: str = "",
                 port: Optional[int] = 0, stdout: Stream = None, stderr: Stream = None,
                 network: Optional[Network] = None, **options: Any) -> None:
        self.network, self.host = network, "127.0.0.1"
        self.port = (port or _free_port()) if command else port or 0
        self.clients: list[Client] = []
        super().__init__(
            chapter, story, [*(() if port is None else ("--port", str(port))), *arguments],
            [word.replace("{port}", str(self.port)) for word in shlex.split(command)],
            enter=network.enter if network else (),
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr, **options)
        self.log = Output(story, "stdout", self.process.stdout)
        self.errors = Output(story, "stderr", self.process.stderr)

    # ---- starting ----

    def wait_until_ready(self) -> Server:
        """By its own line, or where that cannot be read by the kernel's table: a probe
        connection would be served."""
        there = proc.eventually(lambda: self._is_ready() or self.process.poll() is not None)
        if not there or self.process.poll() is not None:
            self.story.fail("the server to listen", "it does not")
        self.story.tell(f"it listens at port {self.port}")
        return self

    def _is_ready(self) -> bool:
        line = LISTENING.search(self.log.text)
        found = (line[1].strip("[]"), int(line[2])) if line else None
        if self.is_foreign:
            found = proc.listening(self.process.pid, self.port)
        elif not found and not self.log.is_open():
            found = proc.listening(self.process.pid)
        if found:
            self.host, self.port = found
        return found is not None

    def expect_closed_listener(self) -> None:
        closed = proc.eventually(lambda: not proc.listening(self.process.pid, self.port))
        self.story.check(closed, "the server to close its listener", "it still listens")
        self.story.tell("the listener closed")

    # ---- clients ----

    def client(self, receive_buffer: int = 0, wait: bool = True) -> Client:
        """A new one, connected; without `wait`, it has begun to connect."""
        self.clients.append(Client(self.story, (self.host, self.port), receive_buffer,
                                   self.network.socket if self.network else socket.socket))
        self.clients[-1].connect(wait)
        return self.clients[-1]

    def crowd(self, count: int, receive_buffer: int = 0, wait: bool = True) -> Crowd:
        with self.story.summed_up(f"{count} clients {'connected' if wait else 'set out'}"):
            return Crowd(self.client(receive_buffer, wait) for _ in range(count))

    def serves_a_new_client(self) -> None:
        client = self.client()
        client.say(b"Are you still there?")
        client.finish()

    def answers_at_once(self, client: Client) -> bool:
        """Whether what it sent comes back while others are idle or stuck. Where that is the
        wall, a short look is enough."""
        return client.hears(PATIENCE if self.chapter.at_once else GLIMPSE)

    def allow_descriptors(self, more: int) -> None:
        """As `ulimit -n` would, but for servers whose needs at start nobody knows."""
        for pid in self.pids:
            allowed = 1 + more + max(map(int, os.listdir(f"/proc/{pid}/fd")))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (allowed, allowed))
        self.story.tell(f"allowed it {more} descriptors more than it had")

    # ---- watching ----

    @property
    def pids(self) -> list[int]:
        return proc.session_members(self.process.pid) if self.is_foreign else [self.process.pid]

    def descriptors(self) -> int:
        return proc.descriptors(self.pids)

    def threads(self) -> int:
        return sum(proc.status(pid, "Threads") for pid in self.pids)

    def resident(self) -> int:
        """Bytes of memory of its own: heap and stacks."""
        return proc.private_memory(self.pids)

    def expect_descriptors(self, at_most: int) -> None:
        self._expect(self.descriptors, at_most, "descriptors", "are open: some are never closed")

    def expect_threads(self, at_most: int) -> None:
        self._expect(self.threads, at_most, "threads", "run: some never end")

    def _expect(self, count: Callable[[], int], at_most: int, what: str, but: str) -> None:
        self.story.check(proc.eventually(lambda: count() <= at_most),
                         f"no more than the {at_most} {what} of before", f"{count()} {but}")

    def expect_no_zombies(self) -> None:
        zombies = lambda: proc.session_members(self.process.pid, zombies=True)
        self.story.check(proc.eventually(lambda: not zombies()),
                         "the server to wait for each child that has ended",
                         f"{len(zombies())} zombies are left in the table of processes")

    def expect_resident(self, at_most: int, room: int = 4 << 20) -> None:
        """A little more is no leak, and a heap with a garbage collector grows at first. A
        sanitizer keeps on purpose what was freed."""
        room = max(room, 32 << 20) if self.is_foreign else room
        kept = proc.eventually(lambda: SANITIZED or self.resident() - at_most < room)
        self.story.check(kept, f"memory to come back to what it was, {at_most >> 10} KiB",
                         f"it is {self.resident() >> 10} KiB")

    def expect_idle(self, when: str, seconds: float = 0.1) -> None:
        """Next to no CPU. One window without load is enough: what spins never has one."""
        self.story.tell(f"watched the server's CPU {when}")
        self.story.check(any(self.load(seconds) < 0.2 for _ in range(8)),
                         "the server to sleep while nothing can be done",
                         "in each of 8 looks it kept 20% of a core busy or more: it spins")

    def load(self, seconds: float) -> float:
        """The share of one core that it uses, over a window of real time."""
        pids = self.pids
        awake, start = proc.awake_seconds(pids), time.monotonic()
        time.sleep(seconds)
        return (proc.awake_seconds(pids) - awake) / (time.monotonic() - start)

    # ---- signals ----

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside has all happened when the server looks again."""
        self.signal(signal.SIGSTOP)
        asleep = proc.eventually(lambda: all(proc.state(p) in ("T", "gone") for p in self.pids))
        self.story.check(asleep, "the server to stop", f"it is {proc.state(self.process.pid)}")
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    # ---- ending ----

    def expect_health(self) -> None:
        """At the end of every test that has not failed: it lives, unless it was told to end."""
        if self.descriptors() == 0:  # it has ended, or is about to
            proc.eventually(lambda: self.process.poll() is not None)
        self.story.check(self.story.failed or self.ended is not None
                         or self.process.poll() is None,
                         "the server to live", "it has ended by itself")

    def expect_no_report(self) -> None:
        reported = any(report in self.errors.text for report in REPORTS)
        self.story.check(self.story.failed or not reported,
                         "no report of a sanitizer", "there is one")

    def said(self) -> Sequence[tuple[str, str]]:
        if self.process.poll() is not None:
            self.errors.finish(within=1)  # its last words may still be on their way
        return [("Its last words on stderr:", self.errors.text)]

    def stop(self) -> None:
        """Whatever happened: afterwards there is neither process nor open socket."""
        for client in self.clients:
            client.close()
        if SANITIZED and self.chapter.clean_end and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                os.killpg(self.process.pid, signal.SIGTERM)  # leaks are reported at an exit
                self.process.wait(8)
        super().stop()
        for output in (self.log, self.errors):
            output.finish()


def _free_port() -> int:
    """Below the range from which the kernel takes ports for clients, where a client could
    connect to itself."""
    for port in random.sample(range(18_000, 32_000), 500):
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


