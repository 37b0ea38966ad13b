"""The tables that make bench prints, and that docs/costs.md shows."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Callable, Iterable, Optional

from goals import EPOLL, GOALS, TASKS
from results import Results, middle, shown, spread
from servers import BIG_FLOOR, FLOOR

Cell = Callable[[str], str]


@dataclass(frozen=True)
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def text(self) -> str:
        """For a terminal: names to the left, numbers to the right."""
        lines = [[plain(cell) for cell in line] for line in (self.header, *self.rows)]
        widths = [max(map(_width, column)) for column in zip(*lines)]
        shown_lines = ["  ".join(_padded(cell, width, left=i == 0)
                                 for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
                       for line in lines]
        return "\n".join([self.title, "", *shown_lines])


def plain(cell: str) -> str:
    return cell.replace("**", "")


def _width(cell: str) -> int:
    return sum(not unicodedata.combining(letter) for letter in cell)


def _padded(cell: str, width: int, left: bool) -> str:
    gap = " " * (width - _width(cell))
    return cell + gap if left else gap + cell


def _table(title: str, results: Results, columns: Iterable[tuple[str, Cell]],
           names: Optional[list[str]] = None) -> Table:
    """A row a server; those of whom nothing is known are left out."""
    columns = list(columns)
    rows = [[name, *(cell(name) for _, cell in columns)] for name in names or results.names()]
    kept = [row for row in rows if set(row[1:]) != {"–"}]
    return Table(title, ["", *(head for head, _ in columns)], kept)


def _busy(results: Results, shape: str, what: str, form: str = ".0f") -> Cell:
    def cell(name: str) -> str:
        wall = results.wall_of(name, shape)
        if wall is not None:
            return f"{wall} served"
        return spread(results.busy(name, shape, what), form)
    return cell


def _crowd(guests: int) -> str:
    return "1 guest" if guests == 1 else f"{guests:,} guests"


def throughput(results: Results) -> Table:
    return _table("Echoes a second, 64 bytes: the middle round (the worst – the best)", results, [
        (_crowd(guests), _busy(results, f"{guests}x64", "rate")) for guests in results.crowds()])


def processor_time(results: Results) -> Table:
    """Microseconds, and how often that of the bare loop in the same round."""
    columns: list[tuple[str, Cell]] = []
    for guests in results.crowds():
        shape = f"{guests}x64"
        columns.append((f"µs, {_crowd(guests)}", _middle(results, shape, "cpu_us", ".1f")))
        columns.append(("by the bare loop", _by_the_floor(results, shape)))
    return _table("CPU of the server for an echo of 64 bytes", results, columns)


def _middle(results: Results, shape: str, what: str, form: str) -> Cell:
    return lambda name: middle(results.busy(name, shape, what), form)


def _by_the_floor(results: Results, shape: str) -> Cell:
    return lambda name: spread(results.ratio(name, FLOOR, shape, "cpu_us"), ".2f")


def latency(results: Results) -> Table:
    guests = next((number for number in results.crowds() if number == 50), None)
    guests = guests or max(results.crowds(), default=0)
    shape = f"{guests}x64"
    return _table(f"Microseconds that a guest waits for an echo, {_crowd(guests)} at once", results,
                  [("half wait less than", _busy(results, shape, "p50_us")),
                   ("99 of 100", _busy(results, shape, "p99_us")),
                   ("999 of 1,000", _busy(results, shape, "p999_us")),
                   ("context switches an echo", _middle(results, shape, "switches", ".2f"))])


def counted(results: Results) -> Table:
    def calls(name: str) -> str:
        found = results.calls(name)
        return shown(sum(found.values()), ".2f") if found else "–"

    def which(name: str) -> str:
        found = results.calls(name).items()
        return ", ".join(f"{call} {shown(count, '.2f')}" for call, count in found) or "–"
    return _table("Counted for an echo, one guest", results, [
        ("instructions", lambda name: shown(results.instructions(name))),
        ("system calls", calls), ("which", which)])


def big(results: Results) -> Table:
    """The last column tells of the 40 ms."""
    columns: list[tuple[str, Cell]] = []
    for shape in [shape for shape in results.shapes() if not shape.endswith("x64")]:
        guests, size = map(int, shape.split("x"))
        words = f"{size // 1024} KiB × {guests}" if size < 2**20 else f"{size >> 20} MiB × {guests}"
        columns.append((f"{words}, a second", _busy(results, shape, "rate")))
        columns.append(("by the 64 KiB loop", _by_the_big_floor(results, shape)))
        columns.append(("half wait, ms", _milliseconds(results, shape)))
    return _table("Big messages", results, columns)


def _by_the_big_floor(results: Results, shape: str) -> Cell:
    return lambda name: middle(results.ratio(name, BIG_FLOOR, shape, "rate"), ".3f")


def _milliseconds(results: Results, shape: str) -> Cell:
    def cell(name: str) -> str:
        found = results.busy(name, shape, "p50_us")
        return shown(found.middle / 1000, ".1f") if found else "–"
    return cell


def _point(results: Results, guests: int, what: str, form: str = ".0f") -> Cell:
    return lambda name: shown(results.point(name, guests).get(what), form)


def resident(results: Results) -> Table:
    return _table("Resident bytes a silent guest: heap and stacks", results,
                  [(f"of {guests:,}", _point(results, guests, "resident"))
                   for guests in results.steps()] + [("most guests", _most(results))])


def _most(results: Results) -> Cell:
    def cell(name: str) -> str:
        if not results.points(name):
            return "–"
        wall = results.wall(name)
        end = ", wall" if isinstance(wall, int) else ", time" if wall else ""
        return f"{results.most_guests(name):,}{end}"
    return cell


def _at_each(title: str, what: str, form: str = ".0f") -> Callable[[Results], Table]:
    return lambda results: _table(title, results, [
        (f"of {guests:,}", _point(results, guests, what, form)) for guests in results.steps()])


def held(results: Results) -> Table:
    """At the biggest crowd that this server had."""
    def at_most(what: str, form: str = ".0f") -> Cell:
        return lambda name: shown(
            results.point(name, results.most_guests(name)).get(what), form)
    return _table("A silent guest in the biggest crowd", results, [
        ("guests", lambda name: shown(results.most_guests(name) or None)),
        ("virtual bytes", at_most("virtual")), ("threads and processes", at_most("threads", ".2f")),
        ("kernel bytes, both ends", at_most("kernel"))])


def beside(results: Results) -> Table:
    return _table("Microseconds for an echo, beside so many silent guests", results, [
        (f"{guests:,}", _echo(results, guests)) for guests in (0, *results.steps())])


def _echo(results: Results, guests: int) -> Cell:
    return lambda name: shown(results.echo(name, guests), ".1f")


def silence(results: Results) -> Table:
    many = results.many()

    def quiet(what: str) -> Cell:
        return lambda name: shown((results.quiet(name) or {}).get(what), ".1f")
    return _table(f"{many:,} silent guests", results, [
        ("wake-ups a second", quiet("wakeups")), ("CPU, µs a second", quiet("cpu_us")),
        ("CPU, 50 who speak among them, by 50 alone",
         lambda name: spread(results.among(name), ".2f"))])


def files(results: Results) -> Table:
    """Where the instructions of an echo stand; those of the second chapter decide the order."""
    found = {name: results.files(name) for name in (EPOLL, TASKS)}
    order = sorted({file for counts in found.values() for file in counts},
                   key=lambda file: (-found[TASKS].get(file, 0), -found[EPOLL].get(file, 0)))
    rows = [[file, *(shown(found[name].get(file)) for name in found)] for file in order]
    rows.append(["together", *(shown(results.instructions(name)) for name in found)])
    rows.append(["with -flto", *(shown(results.as_one_file(name)) for name in found)])
    return Table("Instructions of an echo, file by file", ["", *found], rows)


def goals(results: Results) -> Table:
    rows = []
    for goal in GOALS:
        row = [goal.name]
        for name in (EPOLL, TASKS):
            verdict = goal.verdict(results, name)
            row += [goal.aim(name), verdict.measured, verdict.word]
        rows.append(row)
    header = ["", "04 aims at", "measured", "", "05 aims at", "measured", ""]
    return Table("The goals", header, rows)


ALL: dict[str, Callable[[Results], Table]] = {
    "throughput": throughput, "processor-time": processor_time, "latency": latency,
    "counted": counted, "big": big, "resident": resident,
    "virtual": _at_each("Virtual bytes a silent guest", "virtual"),
    "threads": _at_each("Threads and processes a silent guest", "threads", ".2f"),
    "kernel": _at_each("The kernel's bytes a silent guest, both ends of the connection", "kernel"),
    "held": held, "beside": beside, "silence": silence, "files": files,
    "goals": goals,
}


def printed(results: Results) -> str:
    """All that was measured, for a terminal."""
    machine = results.machine
    text = [f"{machine['processor']}, {machine['cores']} core(s), {machine['memory_gib']} GiB; "
            f"{machine['kernel']}; {machine['compiler']}, {machine['flags']}",
            f"{machine['pinned']}; up to {machine['descriptors']:,} descriptors a process",
            "Figures of one run compare with each other, never with those of another."]
    text += [f"skipped: {name}: {reason}" for name, reason in results.missing.items()]
    tables = [make(results) for name, make in ALL.items() if name != "held"]  # is among others
    tables[-1].rows[:] = [row for row in tables[-1].rows if row.count("not measured") < 2]
    shown_ones = [table.text() for table in tables if len(table.header) > 1 and table.rows]
    return "\n\n".join(["\n".join(text), *shown_ones])
