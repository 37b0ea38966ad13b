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
import time

import million
import page
from measure import Bench
from processes import BUILD
from servers import CHAPTERS, choose, machine

SECONDS = 0.12  # of one run
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PARTS = ("busy", "floods", "workers", "silent", "counted")


class Progress:
    """One line that changes, at a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self.start, self.last = time.monotonic(), 0.0

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        line = f"{now - self.start:4.0f} s  {words}"
        if sys.stderr.isatty():
            print(f"\r\033[K{line[:78]}", end="", file=sys.stderr, flush=True)
        elif now - self.last > 10:
            print(line, file=sys.stderr, flush=True)
            self.last = now

    def done(self) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def option(name: str) -> str:
    return "" if os.environ.get(name) == "0" else os.environ.get(name, "")


def main() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tell = Progress()
    connections = 1_000_000 if option("MILLION") else int(option("CONNECTIONS") or 0)
    chapters = option("CHAPTERS").split() or list(CHAPTERS[3:] if connections else CHAPTERS)
    if set(chapters) - set(CHAPTERS):
        raise SystemExit(f"CHAPTERS are some of {' '.join(CHAPTERS)}")
    servers, missing = choose(chapters, bool(option("PEERS")), option("SERVER"))
    if connections:
        figures, wrong = million.run([server for server in servers if server.family != "floor"],
                                     connections, tell)
    else:
        bench = Bench(servers, int(option("ROUNDS") or 9), SECONDS, tell)
        for part in PARTS:
            if part in (option("ONLY").split() or PARTS):
                missing.update(getattr(bench, part)() or {})
        figures, wrong = bench.figures, bench.wrong
    tell.done()
    results = page.as_results({} if connections else machine(), figures)
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "results.txt").write_text(page.written(results), encoding="utf-8")
    print(page.summary(results, page.MILLION if connections else page.SUMMARY))
    for name, reason in {**missing, **wrong}.items():
        print(f"skipped: {name}: {reason}")
    if option("PAGE"):
        page.publish(results)
        print(f"written: {page.PAGE}")
    return 1 if wrong else 0


def _end(number: int, _: object) -> None:
    raise SystemExit(f"\nended by {signal.Signals(number).name}: nothing is kept")


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, _end)
    sys.exit(main())
