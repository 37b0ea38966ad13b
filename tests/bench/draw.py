"""The pictures of docs/costs.md, drawn with matplotlib from what was measured.

Each has a title that says what to see, and below it the sentence that it proves. They are
transparent, and their ink turns light where the reader's page is dark. The same results give
the same files, to the byte.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, Callable, Iterable, Optional

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402  (after the choice of what it draws with)

from results import Results, Spread, shown
from servers import BIG_FLOOR, FLOOR

INK, DIM, GRID = "#1f2328", "#57606a", "#d0d7de"
NIGHT = {INK: "#e6edf3", DIM: "#9aa4af", GRID: "#30363d"}
COLOURS = {"01-blocking": "#9b6bd3", "02-threads": "#d1495b", "03-select": "#c77d0a",
           "04-epoll": "#2a9d6f", "05-async-tasks": "#2f81f7", FLOOR: "#7d8590",
           BIG_FLOOR: "#7d8590"}
PEER = "#8b949e"
WIDTH, HEIGHT = 9.0, 5.0
TOP = 0.80  # of the picture is for the axes; above are title and sentence
NOBODY = 0.3  # where no guest at all stands on an axis of powers of ten

plt.rcParams.update({
    "svg.hashsalt": "costs", "svg.fonttype": "none", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"], "font.size": 11, "text.color": INK,
    "axes.labelcolor": INK, "axes.edgecolor": DIM, "xtick.color": DIM, "ytick.color": DIM,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.7,
    "savefig.transparent": True,
})

Line = tuple[str, list[float], list[float]]  # a server, and its points


class NothingToDraw(Exception):
    """This picture's part was not measured."""


# ---- frames ----------------------------------------------------------------------------------

def _figure(title: str, sentence: str, height: float = HEIGHT) -> Any:
    figure = plt.figure(figsize=(WIDTH, height))
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=14, weight="bold")
    figure.text(0.02, 1 - 0.62 / height, sentence, fontsize=11, color=DIM)
    return figure


def _axes(figure: Any, x: str, y: str, right: float = 0.775) -> Any:
    axes = figure.add_axes((0.09, 0.13, right - 0.09, TOP - 0.13))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.minorticks_off()
    return axes


def _ticks(axes: Any, values: Iterable[int]) -> None:
    """Numbers of guests, on an axis of powers of ten. Near neighbours are written lower."""
    values = list(values)
    if values in ([], [0]):
        raise NothingToDraw
    places = [value or NOBODY for value in values]
    near = [False, *(place < 3 * before for before, place in zip(places, places[1:]))]
    axes.set_xscale("log")
    axes.set_xticks(places, ["\n" * low + f"{value:,}" for value, low in zip(values, near)])
    axes.set_xlim(places[0] / 1.5, places[-1] * 1.5)
    axes.minorticks_off()


def _save(figure: Any, path: Path, title: str, mark: str) -> None:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    path.write_text(_adapted(out.getvalue(), title, mark), encoding="utf-8")


def _adapted(svg: str, title: str, mark: str) -> str:
    """With a title for those who cannot see it, with ink for dark pages, and with the mark of
    the results."""
    rules = "".join(f'[style*="{what}: {day}"]{{{what}:{night} !important}}'
                    for day, night in NIGHT.items() for what in ("fill", "stroke"))
    head = (f"<title>{title}</title><!-- results {mark} -->"
            f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>")
    svg = re.sub(r"(<svg [^>]*)>", rf'\1 role="img">{head}', svg, count=1)
    return re.sub(r"[ \t]+$", "", svg[svg.index("<svg"):], flags=re.MULTILINE)


# ---- lines -----------------------------------------------------------------------------------

def _look(name: str) -> dict[str, Any]:
    if name in (FLOOR, BIG_FLOOR):
        return {"color": COLOURS[name], "linestyle": (0, (4, 2)), "linewidth": 1.6}
    if name in COLOURS:
        return {"color": COLOURS[name], "linewidth": 2.4, "marker": "o", "markersize": 4}
    return {"color": PEER, "linewidth": 1.0}


def _plot(axes: Any, lines: list[Line]) -> None:
    for name, x, y in lines:
        axes.plot(x, y, **_look(name))


def _apart(places: list[float], least: float) -> list[float]:
    """The same order, but no two nearer to each other: labels that can be read."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = list(places)
    for _ in range(200):
        for lower, upper in zip(order, order[1:]):
            overlap = least - (moved[upper] - moved[lower])
            if overlap > 1e-6:
                moved[lower] -= overlap / 2
                moved[upper] += overlap / 2
    return moved


def _label(axes: Any, lines: list[Line], notes: dict[str, str], least: float = 0.055) -> None:
    """Each line is named at its right, in its colour, with a thread from its end."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform((x[-1], y[-1])) for _, x, y in lines]
    heights = _apart([float(end[1]) for end in ends], least)
    for (name, _, _), end, height in zip(lines, ends, heights):
        look = _look(name)
        axes.plot([end[0], 1.0, 1.02], [end[1], end[1], height], transform=axes.transAxes,
                  color=look["color"], linewidth=0.6, linestyle=":", clip_on=False)
        axes.text(1.03, height, name + notes.get(name, ""), transform=axes.transAxes,
                  color=look["color"], va="center", fontsize=10,
                  weight="bold" if name in COLOURS else "normal")


def _wall(axes: Any, x: float, y: float, name: str) -> None:
    """Here the line ends, because this server can no more."""
    axes.plot([x], [y], marker="X", markersize=10, color=COLOURS.get(name, PEER),
              markeredgewidth=0, clip_on=False, zorder=5)


def _limits(axes: Any, values: list[float], floor: Optional[float] = None) -> None:
    axes.set_ylim(min(values) / 1.6 if floor is None else floor, max(values) * 1.25)


# ---- the pictures ----------------------------------------------------------------------------

def memory(results: Results, figure: Any) -> None:
    axes = _axes(figure, "silent guests", "resident bytes a guest")
    _ticks(axes, results.steps())
    lines: list[Line] = []
    for name in results.names():
        points = [point for point in results.points(name) if point["resident"] > 0]
        if points:
            lines.append((name, [point["guests"] for point in points],
                          [point["resident"] for point in points]))
    axes.set_yscale("log")
    axes.minorticks_off()
    _limits(axes, [value for _, _, y in lines for value in y])
    _plot(axes, lines)
    _label(axes, lines, _wall_notes(results))
    for name, x, y in lines:
        if isinstance(results.wall(name), int):
            _wall(axes, x[-1], y[-1], name)
    if results.wall("01-blocking") == 1:
        _wall(axes, 1, axes.get_ylim()[0], "01-blocking")
        axes.annotate("01-blocking: one guest, 0 bytes more", (1, axes.get_ylim()[0]), (9, 6),
                      textcoords="offset points", color=COLOURS["01-blocking"], fontsize=10,
                      weight="bold")


def _wall_notes(results: Results) -> dict[str, str]:
    return {name: f", to {results.wall(name):,}" for name in results.names()
            if isinstance(results.wall(name), int)}


def beside(results: Results, figure: Any) -> None:
    axes = _axes(figure, "silent guests beside the one who speaks", "microseconds for an echo")
    _ticks(axes, [0, *results.steps()])
    lines: list[Line] = []
    for name in results.names("chapter", "floor"):
        found = [(guests or NOBODY, results.echo(name, guests))
                 for guests in (0, *results.steps())]
        known = [(guests, echo) for guests, echo in found if echo is not None]
        if known:
            lines.append((name, [x for x, _ in known], [y for _, y in known]))
    _limits(axes, [value for _, _, y in lines for value in y], 0)
    _plot(axes, lines)
    _label(axes, lines, _wall_notes(results))
    for name, x, y in lines:
        if isinstance(results.wall(name), int):
            _wall(axes, x[-1], y[-1], name)


def throughput(results: Results, figure: Any) -> None:
    axes = _axes(figure, "guests who speak, 64 bytes each time; shaded: worst to best round",
                 "thousand echoes a second")
    _ticks(axes, results.crowds())
    lines: list[Line] = []
    best = []
    for name in results.names():
        found = [(guests, results.busy(name, f"{guests}x64", "rate"))
                 for guests in results.crowds()]
        known = [(guests, rate) for guests, rate in found if rate]
        if not known or name == BIG_FLOOR:
            continue
        lines.append((name, [x for x, _ in known], [rate.middle / 1000 for _, rate in known]))
        if name in COLOURS:
            _noise(axes, name, known)
            best += [rate.most / 1000 for _, rate in known]
    _limits(axes, best + [value for _, _, y in lines for value in y], 0)
    _plot(axes, lines)
    _label(axes, lines, {"01-blocking": ", to 1"} if results.wall("01-blocking") else {})
    for name, x, y in lines:
        if x[-1] < results.crowds()[-1]:
            _wall(axes, x[-1], y[-1], name)


def _noise(axes: Any, name: str, known: list[tuple[int, Spread]]) -> None:
    """From the worst round to the best."""
    for guests, rate in known:
        axes.plot([guests, guests], [rate.least / 1000, rate.most / 1000],
                  color=COLOURS[name], linewidth=5, alpha=0.18, solid_capstyle="butt")


WAIT, READ, WRITE, WASTE = "#6e7781", "#1f6feb", "#1a7f4b", "#bc4c00"
KINDS = (("wait|select|poll$", WAIT), ("recv|read", READ), ("send|write", WRITE))


def _kind(call: str, result: str) -> str:
    colours = [colour for pattern, colour in KINDS if re.search(pattern, call)]
    return colours[0] if colours and not result.startswith("E") else WASTE


def calls(results: Results, figure: Any) -> None:
    names = [name for name in results.names("chapter") if results.strip(name)]
    if not names:
        raise NothingToDraw
    most = max(len(results.strip(name)) for name in names)
    axes = figure.add_axes((0.02, 0.12, 0.96, TOP - 0.14))
    axes.set_axis_off()
    axes.set_xlim(-1.0, max(most, 4))
    axes.set_ylim(len(names), 0)
    for row, name in enumerate(names):
        axes.text(-1.0, row + 0.5, name, va="center", weight="bold", color=COLOURS[name])
        strip = results.strip(name)
        waits = any(_kind(*call) == WAIT for call in strip)
        for column, (call, result) in enumerate(strip):
            _box(axes, column, row, call, result, sleeps=not waits and _kind(call, result) == READ)
    _legend(figure, (("waits", WAIT), ("reads", READ), ("writes", WRITE),
                     ("does neither", WASTE)))


def _box(axes: Any, column: int, row: int, call: str, result: str, sleeps: bool) -> None:
    """sleeps: this read is where the server waits, too."""
    axes.add_patch(plt.Rectangle((column + 0.03, row + 0.12), 0.94, 0.76,
                                 facecolor=_kind(call, result), linewidth=0))
    if sleeps:
        axes.add_patch(plt.Rectangle((column + 0.03, row + 0.12), 0.22, 0.76,
                                     facecolor=WAIT, linewidth=0))
    middle = column + (0.61 if sleeps else 0.5)
    axes.text(middle, row + 0.5, f"{call}  = {result}", ha="center", va="center", color="#ffffff")


def _legend(figure: Any, entries: Iterable[tuple[str, str]]) -> None:
    for i, (word, colour) in enumerate(entries):
        figure.patches.append(plt.Rectangle((0.19 + 0.16 * i, 0.035), 0.018, 0.035,
                                            transform=figure.transFigure, facecolor=colour))
        figure.text(0.215 + 0.16 * i, 0.04, word, color=DIM, fontsize=10)


def _panels(results: Results) -> list[tuple[str, Callable[[str], Optional[float]], str, bool]]:
    """A title, what a bar shows, how it is written, and whether in powers of ten."""
    def resident(name: str) -> Optional[float]:
        return results.point(name, results.most_guests(name)).get("resident")

    def by(other: str, shape: str, what: str) -> Callable[[str], Optional[float]]:
        def ratio(name: str) -> Optional[float]:
            found = results.ratio(name, other, shape, what)
            return found.middle if found else None
        return ratio
    return [("instructions an echo,\nin powers of ten", results.instructions, ".0f", True),
            ("CPU an echo, 50 guests,\nby the bare loop", by(FLOOR, "50x64", "cpu_us"), ".2f",
             False),
            ("bytes a silent guest,\nin powers of ten", resident, ".0f", True),
            ("50 × 16 KiB, a second,\nby the 64 KiB loop", by(BIG_FLOOR, "50x16384", "rate"),
             ".2f", False)]


def peers(results: Results, figure: Any) -> None:
    names = [name for name in results.names() if name != "01-blocking"][::-1]
    panels = _panels(results)
    for i, (title, value, form, powers) in enumerate(panels):
        axes = figure.add_axes((0.19 + 0.205 * i, 0.04, 0.165, 0.71))
        _bars(axes, names, [value(name) for name in names], form, powers)
        axes.set_title(title, fontsize=10, loc="left", color=INK)
        if i == 0:
            axes.set_yticks(range(len(names)), names)
            for label, name in zip(axes.get_yticklabels(), names):
                label.set_color(COLOURS.get(name, INK))
        else:
            axes.set_yticks([])


def _bars(axes: Any, names: list[str], values: list[Optional[float]], form: str,
          powers: bool) -> None:
    """Each with its number at its end; a dash where nothing was measured."""
    known = [value for value in values if value]
    low = min(known, default=1) / 3 if powers else 0
    axes.set_xscale("log" if powers else "linear")
    axes.set_xlim(low, max(known, default=1) * (6 if powers else 1.35))
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(False)
    axes.set_xticks([])
    axes.minorticks_off()
    axes.spines["bottom"].set_visible(False)
    for row, (name, value) in enumerate(zip(names, values)):
        length = max(value or low, low)
        axes.barh(row, length - low, left=low, height=0.66, color=COLOURS.get(name, PEER))
        axes.annotate(shown(value, form), (length, row), (4, 0), textcoords="offset points",
                      va="center", fontsize=9)


PICTURES: dict[str, tuple[Callable[[Results, Any], None], float, str, str]] = {
    "memory": (memory, 5.4, "A thread is a heavy way to remember a guest",
               "What a silent guest holds: a stack in 02, a buffer in 03, a struct in 04, "
               "a task in 05."),
    "beside": (beside, HEIGHT, "select pays for everybody, epoll for those who speak",
               "The line of 03 climbs with the guests who say nothing; 04 and 05 stay flat."),
    "throughput": (throughput, 5.4, "Busy guests: one loop for all is close to the floor",
                   "Most of an echo is the kernel's. A thread for each guest adds a switch "
                   "to every echo."),
    "calls": (calls, 4.0, "One echo is a read and a write; the rest is how one waits",
              "The system calls of one echo of 64 bytes, one guest, as strace has seen them."),
    "peers": (peers, 5.6, "A runtime need not be heavy",
              "Shorter is better in the first three; longer in the last. The bare loop is the "
              "floor."),
}


def everything(results: Results, folder: Path) -> None:
    for name, (draw, height, title, sentence) in PICTURES.items():
        figure = _figure(title, sentence, height)
        try:
            draw(results, figure)
        except NothingToDraw:
            plt.close(figure)
            (folder / f"{name}.svg").unlink(missing_ok=True)
            continue
        _save(figure, folder / f"{name}.svg", title, results.mark())
