#!/usr/bin/env python3
"""Draws an evening of a chapter: who sleeps where, who waits, second by second.

    make trace CHAPTER=03-select     runs the server under strace, with three clients, and
                                     draws CHAPTER/evening-mine.svg
    trace.py --book 03-select        the same for the book: writes docs/traces/CHAPTER.txt, a line
                                     for each thing that lasted or happened, and from that file
                                     alone draws CHAPTER/evening.svg
    trace.py --draw 03-select        draws the book's picture again, from the trace on file
    trace.py --five                  draws docs/five-evenings.svg, from the five traces on file

Hush is there from second 0 to 4 and says nothing. Blink comes at second 1, says a word, and
leaves with its echo. Drip comes at second 2, says three words, a second apart, and leaves.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CALLS = {"accept4": "accept", "recvfrom": "recv", "sendto": "send", "pselect6": "select",
         "select": "select", "epoll_wait": "epoll_wait"}
WAYS = {"01-blocking": "one client at a time", "02-threads": "a thread for each",
        "03-select": "asks about all", "04-epoll": "told who is ready",
        "05-async-tasks": "a task for each"}
SHORT_S = 0.005  # a main thread that sleeps no longer than this has hardly slept
END_S = 6.0


class Evening:
    """Three clients of one server, and what they saw."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: list[tuple[float, str]] = []
        self.ports: dict[int, str] = {}
        self.started = time.time()

    def note(self, what: str) -> None:
        self.lines.append((time.time() - self.started, what))

    def guest(self, name: str, comes: float, words: int, leaves: float) -> None:
        time.sleep(max(0.0, self.started + comes - time.time()))
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            self.ports[connection.getsockname()[1]] = name
            self.note(f"{name} comes")
            listener = threading.Thread(target=self.listen, args=(name, connection, words))
            listener.start()
            for i in range(words):
                time.sleep(max(0.0, self.started + comes + i - time.time()))
                connection.sendall(b"word")
                self.note(f"{name} says")
            listener.join()
            time.sleep(max(0.0, self.started + leaves - time.time()))
        self.note(f"{name} leaves")

    def listen(self, name: str, connection: socket.socket, words: int) -> None:
        heard = 0
        while heard < words:
            for _ in range(len(connection.recv(100)) // len("word")):
                self.note(f"{name} hears")
                heard += 1

    def pass_by(self) -> None:
        plans = [("Hush", 0.0, 0, 4.0), ("Blink", 1.0, 1, 0.0), ("Drip", 2.0, 3, 5.0)]
        threads = [threading.Thread(target=self.guest, args=plan) for plan in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(0.0, self.started + END_S - time.time()))


def asleep(strace: str, evening: Evening) -> list[str]:
    """The calls of strace's output that slept, as `FROM TO LANE CALL`."""
    found, begun = [], {}
    main, lanes, accepted = "", {}, []
    for line in strace.splitlines():
        parts = re.match(r"(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)(.*)", line)
        if parts is None or parts[3] not in CALLS:
            continue
        thread, at, call, rest = parts[1], float(parts[2]) - evening.started, parts[3], parts[4]
        main = main or thread
        if thread != main and thread not in lanes:
            lanes[thread] = f"for-{accepted[len(lanes)]}"
        lane = lanes.get(thread, "main")
        if port := re.search(r"htons\((\d+)\).*= \d+", rest):
            accepted.append(evening.ports.get(int(port[1]), "somebody"))
        start = begun.pop(thread, (at, call))[0]
        if "<unfinished" in rest:
            begun[thread] = (at, call)
            continue
        lasted = re.search(r"<([\d.]+)>$", rest)
        if lasted is None:  # it never returned
            begun[thread] = (at, call)
            continue
        end = at if "resumed" in rest else at + float(lasted[1])
        if end - start > SHORT_S or lane != "main":
            found.append(f"{max(start, 0.0):.3f} {end:.3f} {lane} {CALLS[call]}")
    found += [f"{start:.3f} {END_S:.3f} {lanes.get(thread, 'main')} {CALLS[call]}"
              for thread, (start, call) in begun.items()]
    return found


def record(chapter: str) -> str:
    subprocess.run(["make", "-s", "-C", TOP / chapter], check=True)
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, "strace")
        command = ["strace", "-f", "-ttt", "-T", "-e", "signal=none", "-o", log,
                   "-e", "trace=" + ",".join(CALLS), "./server", "--port", "0", "--quiet"]
        with subprocess.Popen(command, cwd=TOP / chapter, stdout=subprocess.PIPE, text=True,
                              start_new_session=True) as strace:
            assert strace.stdout is not None
            try:
                evening = Evening(int(strace.stdout.readline().rsplit(":", 1)[1]))
                evening.pass_by()
            finally:
                strace.kill()  # first, so that the log ends with the calls that never returned
                os.killpg(strace.pid, signal.SIGKILL)  # the server outlives its strace
        lines = [f"{at:.3f} {what}" for at, what in sorted(evening.lines)]
        lines += asleep(log.read_text(), evening)
    return "\n".join(["# Recorded by tests/trace/trace.py: seconds.", *lines]) + "\n"


STYLE = """<style>
  svg { color: #1f2328; font-size: 14px;
        font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
  .paper { fill: #ffffff; }
  text { fill: currentColor; }
  .b { font-weight: 600; }
  .q { fill: #59636e; font-size: 13px; }
  .m { text-anchor: middle; }
  .e { text-anchor: end; }
  .asleep { fill: #eaeef2; stroke: currentColor; stroke-width: 1.5; }
  .wait { fill: url(#hatch); stroke: #bc4c00; stroke-width: 1.5; }
  .stripe { stroke: #bc4c00; stroke-width: 2; }
  .work { fill: #0969da; }
  .w { fill: #bc4c00; font-size: 13px; font-weight: 600; }
  .word { fill: currentColor; stroke: #ffffff; stroke-width: 2; }
  .grid { stroke: #59636e; stroke-width: 1; stroke-dasharray: 2 4; }
  @media (prefers-color-scheme: dark) {
    svg { color: #e6edf3; }
    .paper { fill: #0d1117; }
    .q { fill: #9aa4af; }
    .asleep { fill: #212830; }
    .wait { stroke: #f0a060; }
    .stripe { stroke: #f0a060; }
    .work { fill: #58a6ff; }
    .w { fill: #f0a060; }
    .word { stroke: #0d1117; }
    .grid { stroke: #9aa4af; }
  }
</style>
<defs><pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse"
 patternTransform="rotate(45)"><path class="stripe" d="M0 0V8"/></pattern></defs>"""


def x(seconds: float) -> float:
    return 20 + 55 * seconds


@dataclass
class Lane:
    name: str
    note: tuple[str, str]  # class, words
    bars: list[tuple[float, float, str, str]]  # from, to, class, words
    marks: list[tuple[float, str]]             # when, class


def server_lanes(lines: list[list[str]]) -> list[Lane]:
    lanes: dict[str, Lane] = {}
    for start, end, name, call in lines:
        title = "the server's thread" if name == "main" else f"a thread {name.replace('-', ' ')}"
        lane = lanes.setdefault(name, Lane(title, ("q", ""), [], []))
        lane.bars.append((float(start), float(end), "asleep", call))
        if float(end) < END_S:
            lane.marks.append((float(end), "work"))
    if len(lanes) > 1:
        lanes["main"].name = "the main thread"
    for lane in lanes.values():
        calls = {bar[3] for bar in lane.bars}
        if len(calls) == 1:
            lane.note = ("q", f"asleep in {calls.pop()}")
            lane.bars = [(start, end, kind, "") for start, end, kind, _ in lane.bars]
    return sorted(lanes.values(), key=lambda lane: (lane.name[0] == "a", lane.bars[0][0]))


def client_lane(name: str, events: list[tuple[float, str]]) -> Lane:
    when = {what: [at for at, it in events if it == what] for what in ("comes", "says", "hears")}
    comes, leaves = events[0][0], next(at for at, what in events if what == "leaves")
    lane = Lane(name, ("q", "" if when["says"] else "says nothing"), [(comes, leaves, "asleep", "")],
                [(at, "word") for at in when["says"]])
    if when["hears"]:
        waited = when["hears"][0] - when["says"][0]
        if waited > 0.1:
            lane.bars.append((when["says"][0], when["hears"][0], "wait", ""))
            lane.note = ("w", f"waits {waited:.0f} s for its echo")
    return lane


def lanes_of(trace: str) -> tuple[list[Lane], list[Lane]]:
    """Those of the server, and those of its clients."""
    lines = [line.split() for line in trace.splitlines() if not line.startswith("#")]
    return server_lanes([line for line in lines if len(line) == 4]), [
        client_lane(name, [(float(line[0]), line[2]) for line in lines
                           if len(line) == 3 and line[1] == name])
        for name in ("Hush", "Blink", "Drip")]


def draw(chapter: str, trace: str) -> str:
    lanes = sum(lanes_of(trace), [])
    height = 56 * len(lanes) + 66
    told = "\n".join(f"{lane.name}: {lane.note[1]} " + "".join(
        f"{words} from {start:.1f} to {end:.1f}; " for start, end, _, words in lane.bars)
        for lane in lanes)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 {height}" role="img" '
           'aria-labelledby="t d">', f'<title id="t">An evening of {chapter}, from a trace</title>',
           f'<desc id="d">{told}</desc>', STYLE,
           f'<rect width="360" height="{height}" class="paper"/>']
    for second in range(6):
        spans = "".join(f"M{x(second):.0f} {56 * i + 22}v34" for i in range(len(lanes)))
        out.append(f'<path class="grid" d="{spans}"/><text class="q m" x="{x(second):.0f}" '
                   f'y="{height - 42}">{second}{" s" if second == 5 else ""}</text>')
    for i, lane in enumerate(lanes):
        top = 56 * i
        out.append(f'<text class="b" x="8" y="{top + 18}">{lane.name}</text>')
        out.append(f'<text class="{lane.note[0]} e" x="350" y="{top + 18}">{lane.note[1]}</text>')
        for start, end, kind, words in lane.bars:
            left, width = x(start), max(x(end) - x(start), 2)
            out.append(f'<rect class="{kind}" x="{left:.1f}" y="{top + 26}" width="{width:.1f}" '
                       'height="26" rx="3"/>')
            if len(words) * 8.2 < width:
                out.append(f'<text class="m" x="{left + width / 2:.1f}" y="{top + 44}">{words}</text>')
        for at, kind in lane.marks:
            out.append(f'<circle class="word" cx="{x(at):.1f}" cy="{top + 39}" r="5.5"/>'
                       if kind == "word" else
                       f'<rect class="work" x="{x(at) - 1.5:.1f}" y="{top + 24}" width="3" height="30"/>')
    foot = height - 16
    out.append(f'<circle class="word" cx="16" cy="{foot - 5}" r="5.5"/>'
               f'<text class="q" x="28" y="{foot}">a word is said</text>'
               f'<rect class="work" x="146" y="{foot - 15}" width="3" height="20"/>'
               f'<text class="q" x="156" y="{foot}">the thread wakes up</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def draw_five(traces: dict[str, str]) -> str:
    """The threads of all five servers, on one time axis, and the clients that wait."""
    out, told, top = [], [], 48
    for chapter, trace in traces.items():
        server, clients = lanes_of(trace)
        slept = [line.split()[3] for line in trace.splitlines() if re.match(r"[\d.]+ [\d.]+ ", line)
                 if float(line.split()[1]) - float(line.split()[0]) > SHORT_S]
        caption = f"{WAYS[chapter]}: {', '.join(dict.fromkeys(slept))}"
        told.append(f"{chapter}: {caption}")
        out.append(f'<text class="b" x="8" y="{top + 14}">{chapter}</text>'
                   f'<text class="q e" x="350" y="{top + 14}">{caption}</text>')
        top += 22
        waiting = [lane for lane in clients if any(bar[2] == "wait" for bar in lane.bars)]
        for lane in [*server, *waiting]:
            bars = [bar for bar in lane.bars if bar[2] == "wait" or lane in server]
            right = x(bars[-1][1]) + 5
            grid = "".join(f"M{x(at):.0f} {top - 3}v22" for at in range(6) if x(at) < right)
            out.append(f'<path class="grid" d="{grid}"/>')
            out += [f'<rect class="{kind}" x="{x(start):.1f}" y="{top}" rx="3" '
                    f'width="{max(x(end) - x(start), 2):.1f}" height="16"/>'
                    for start, end, kind, _ in bars]
            out += [f'<rect class="work" x="{x(at) - 1.5:.1f}" y="{top - 2}" width="3" height="20"/>'
                    for at, kind in lane.marks if kind == "work"]
            words = lane.name.removeprefix("a thread ") if lane in server else \
                f"{lane.name} waits {lane.note[1].split()[1]} s"
            if lane in waiting or len(server) > 1 and right < 350:
                out.append(f'<text class="{"w" if lane in waiting else "q"}" x="{right:.0f}" '
                           f'y="{top + 13}">{words}</text>')
                told.append(words)
            top += 22
        top += 8
    height = top + 44
    said = ["Hush", "Blink", "Drip", "Drip", "Drip", ""]
    axis = "".join(f'<text class="m" x="{x(at):.0f}" y="18">{who}</text>'
                   f'<text class="q m" x="{x(at):.0f}" y="36">{at}{" s" if at == 5 else ""}</text>'
                   for at, who in enumerate(said))
    foot = (f'<rect class="asleep" x="8" y="{top - 3}" width="22" height="16" rx="3"/>'
            f'<text class="q" x="37" y="{top + 10}">a thread sleeps</text>'
            f'<rect class="work" x="160" y="{top - 5}" width="3" height="20"/>'
            f'<text class="q" x="170" y="{top + 10}">it wakes up</text>'
            f'<text class="q" x="8" y="{top + 32}">At 4 s Hush leaves as well, at 5 s Drip.</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 {height}" role="img" '
        'aria-labelledby="t d">', '<title id="t">One evening, five ways of waiting</title>',
        f'<desc id="d">{"; ".join(told)}</desc>', STYLE,
        f'<rect width="360" height="{height}" class="paper"/>', axis, *out, foot, "</svg>"]) + "\n"


def main(arguments: list[str]) -> None:
    if arguments == ["--five"]:
        traces = {way: (TOP / "docs" / "traces" / f"{way}.txt").read_text(encoding="utf-8")
                  for way in WAYS}
        (TOP / "docs" / "five-evenings.svg").write_text(draw_five(traces), encoding="utf-8")
        return
    chapter = arguments[-1] if arguments else ""
    if not (TOP / chapter / "server.c").exists():
        sys.exit("trace: which chapter? For example: make trace CHAPTER=03-select")
    if not shutil.which("strace"):
        sys.exit("trace: this needs strace")
    file = TOP / "docs" / "traces" / f"{chapter}.txt"
    trace = file.read_text(encoding="utf-8") if arguments[0] == "--draw" else record(chapter)
    if arguments[0] == "--book":
        file.write_text(trace, encoding="utf-8")
    mine = arguments[0] == chapter
    picture = TOP / chapter / ("evening-mine.svg" if mine else "evening.svg")
    picture.write_text(draw(chapter, trace), encoding="utf-8")
    print(f"An evening of {chapter}: look at {picture.relative_to(TOP)}")


if __name__ == "__main__":
    main(sys.argv[1:])
