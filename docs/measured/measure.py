#!/usr/bin/env python3
"""Measures what the pages of 02 and 04 show, and writes the .csv files beside itself.

    docs/measured/measure.py        (half a minute; build the chapters first: make)
"""

from __future__ import annotations

import contextlib
import os
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


def busy_s(chapter: str) -> float:
    """Processor time for a thousand clients that say a hundred words each."""
    with server(chapter) as (pid, port):
        subprocess.run([TOP / chapter / "client", "--port", str(port), "--guests", "1000",
                        "--rounds", "100"], check=True, stdout=subprocess.DEVNULL)
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def write(name: str, *rows: list[object]) -> None:
    (HERE / name).write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def picture(results: str) -> str:
    """told-once.svg of chapter 4, from the text of silent.csv."""
    rows = [line.split(",") for line in results.splitlines()[1:]]
    select = [(int(row[0]), float(row[1])) for row in rows if row[1]]
    epoll = [(int(row[0]), float(row[2])) for row in rows]

    def path(points: list[tuple[int, float]]) -> str:
        return "M" + "L".join(f"{44 + 0.03 * x:.1f} {210 - 0.9 * y:.1f}" for x, y in points)

    grid = "".join(f'<path class="grid" d="M44 {210 - 0.9 * y}H344"/>'
                   f'<text class="q e" x="38" y="{214.5 - 0.9 * y}">{y}</text>\n'
                   for y in (0, 50, 100, 150, 200))
    ticks = "".join(f'<text class="q {where}" x="{44 + 0.03 * x:.0f}" y="230">{x:,}</text>\n'
                    for x, where in ((0, "m"), (5000, "m"), (10000, "e")))
    return PICTURE.format(grid=grid, ticks=ticks, select=path(select), epoll=path(epoll))


PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 264" role="img" aria-labelledby="t d">
<title id="t">Asked each time, and told once</title>
<desc id="d">Microseconds of processor time for one echo, over the number of silent connections. The
line of select rises steeply and ends at descriptor 1,023. The line of epoll is flat up to ten
thousand connections.</desc>
<style>
  svg {{ color: #1f2328; font-size: 14px;
        font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }}
  .paper {{ fill: #ffffff; }}
  text {{ fill: currentColor; }}
  .q {{ fill: #59636e; font-size: 13px; }}
  .b {{ font-weight: 600; }}
  .m {{ text-anchor: middle; }}
  .e {{ text-anchor: end; }}
  .grid {{ stroke: #59636e; stroke-width: 1; stroke-dasharray: 2 4; }}
  .select {{ fill: none; stroke: #bc4c00; stroke-width: 3; }}
  .s {{ fill: #bc4c00; font-weight: 600; }}
  .epoll {{ fill: none; stroke: #0969da; stroke-width: 3; }}
  .p {{ fill: #0969da; font-weight: 600; }}
  @media (prefers-color-scheme: dark) {{
    svg {{ color: #e6edf3; }}
    .paper {{ fill: #0d1117; }}
    .q {{ fill: #9aa4af; }}
    .grid {{ stroke: #9aa4af; }}
    .select {{ stroke: #f0a060; }}
    .s {{ fill: #f0a060; }}
    .epoll {{ stroke: #58a6ff; }}
    .p {{ fill: #58a6ff; }}
  }}
</style>
<rect width="360" height="264" class="paper"/>
<text class="q" x="8" y="18">processor time for one echo, microseconds</text>
{grid}{ticks}<text class="q m" x="194" y="252">silent connections</text>
<path class="select" d="{select}"/>
<path class="epoll" d="{epoll}"/>
<text class="s" x="84" y="44">select, to its last descriptor</text>
<text class="p" x="194" y="194">epoll</text>
</svg>
"""


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    write("threads.csv", ["clients", "threads", "addresses MB", "memory MB", "kernel stacks MB"],
          *(threads(count) for count in (0, 100, 1000, 5000)))
    write("busy.csv", ["server", "processor time, s"],
          *([chapter, busy_s(chapter)] for chapter in ("02-threads", "04-epoll")))
    write("silent.csv", ["silent", "03-select µs", "04-epoll µs"],
          *([count, echo_us("03-select", count) if count <= 1000 else "",
             echo_us("04-epoll", count)] for count in (1, 250, 500, 1000, 5000, 10000)))
    (TOP / "04-epoll" / "told-once.svg").write_text(picture((HERE / "silent.csv").read_text()))


if __name__ == "__main__":
    main()
