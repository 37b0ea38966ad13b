#!/usr/bin/env python3
"""Measures what the pages of 02 and 04 show; writes threads.csv and silent.csv beside itself.

    docs/measured/measure.py        (half a minute; build the chapters first: make)
"""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
ECHOES = 2000


@contextlib.contextmanager
def server(chapter: str) -> Iterator[tuple[int, int]]:
    """A running server: its process and its port."""
    command = [TOP / chapter / "server", "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline().rsplit(":", 1)[1])
        process.kill()


@contextlib.contextmanager
def silent(count: int, port: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
        time.sleep(0.5 + count / 2000)  # until all of them have been accepted
        yield


def status(path: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", Path(path).read_text(encoding="utf-8"), re.M)
    assert found is not None
    return int(found[1])


def threads(count: int) -> list[object]:
    """Threads, and in MB: addresses, memory, the kernel's stacks for them."""
    with server("02-threads") as (pid, port):
        before = status("/proc/meminfo", "KernelStack")
        with silent(count, port):
            status_file = f"/proc/{pid}/status"
            memory = [status(status_file, "VmSize"), status(status_file, "VmRSS"),
                      status("/proc/meminfo", "KernelStack") - before]
            return [count, status(status_file, "Threads"), *(round(kb / 1000) for kb in memory)]


def echo_us(chapter: str, count: int) -> float:
    """Processor time that one echo costs the server, while `count` others are silent."""
    with server(chapter) as (pid, port), silent(count, port):
        used = Path(f"/proc/{pid}/schedstat")
        with socket.create_connection(("127.0.0.1", port)) as client:
            for i in range(ECHOES + 100):
                if i == 100:
                    before = int(used.read_text().split()[0])
                client.sendall(b"Hi")
                assert client.recv(64) == b"Hi"
            return round((int(used.read_text().split()[0]) - before) / ECHOES / 1000, 1)


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = [["clients", "threads", "addresses MB", "memory MB", "kernel stacks MB"]]
    rows += [threads(count) for count in (0, 100, 1000, 5000)]
    (HERE / "threads.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    rows = [["silent", "03-select µs", "04-epoll µs"]]
    for count in (1, 250, 500, 1000, 5000, 10000):
        rows.append([count, echo_us("03-select", count) if count <= 1000 else "",
                     echo_us("04-epoll", count)])
    (HERE / "silent.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


if __name__ == "__main__":
    main()
