#!/usr/bin/env python3
"""make bench: what each way of serving costs, on this machine.

    make bench                          the chapters, and a bare epoll loop as the floor
    make bench CHAPTERS='03-select 04-epoll'
    make bench PEERS=1                  libuv, libevent, Tokio, Go, Node and asyncio, too
    make bench SERVER='./mine {port}'   your server, too
    make bench ROUNDS=3                 sooner done, and noisier; 9 is usual
    make bench ONLY='busy counted'      some parts of: busy floods workers silent counted
    make bench CONNECTIONS=50000        instead of all that: so many at once, in 04 and 05
    make bench MILLION=1                a million of them, or what this machine can hold
    make bench PAGE=1                   write docs/costs.md anew from this run

The results are kept in tests/.build/bench/results.txt, a line each.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

import million
import page
from measure import Bench
from processes import BUILD, tell
from servers import CHAPTERS, choose, machine

PARTS = ("busy", "floods", "workers", "silent", "counted")


def option(name: str) -> str:
    return "" if os.environ.get(name) == "0" else os.environ.get(name, "")


def main() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = int(option("CONNECTIONS") or (1_000_000 if option("MILLION") else 0))
    chapters = option("CHAPTERS").split() or list(CHAPTERS[3:] if connections else CHAPTERS)
    if set(chapters) - set(CHAPTERS):
        raise SystemExit(f"CHAPTERS are some of {' '.join(CHAPTERS)}")
    servers = choose(chapters, bool(option("PEERS")), option("SERVER"))
    bench = Bench(servers, int(option("ROUNDS") or 9))
    if connections:
        million.measure(bench, connections)
    for part in () if connections else option("ONLY").split() or PARTS:
        getattr(bench, part)()
    tell("done\n" if sys.stderr.isatty() else "done")
    results = page.as_results({} if connections else machine(), bench.figures)
    (BUILD / "results.txt").write_text(page.written(results), encoding="utf-8")
    print(page.summary(results, page.MILLION if connections else page.SUMMARY))
    for name, reason in bench.wrong.items():
        print(f"skipped: {name}: {reason}")
    if option("PAGE"):
        page.publish(results)
        print(f"written: {page.PAGE}")
    return 1 if bench.wrong else 0


def _end(number: int, _: object) -> None:
    raise SystemExit(f"\nended by {signal.Signals(number).name}: nothing is kept")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    sys.exit(main())
