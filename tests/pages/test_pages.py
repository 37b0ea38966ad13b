"""What the pages say is so: snippets, diffs, sessions, tables, links and pictures."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional
from xml.etree import ElementTree

import pytest

from harness import proc
from pages.page import TOP, Page, page_names, sources, stands_in
from pages.replay import steps_of

pytestmark = pytest.mark.ours_only("the pages of this book")
every_page = pytest.mark.parametrize("name", page_names())
PICTURES = sorted(str(path.relative_to(TOP)) for pattern in ("[0-9]*/*.svg", "docs/*.svg")
                  for path in TOP.glob(pattern) if path.name != "evening-mine.svg")
TOOLS = ("gcc", "gdb", "nm", "ps", "ss", "strace", "timeout", "top")


def proc_cwd(pid: Path) -> Path:
    try:
        return (pid / "cwd").resolve(strict=True)
    except OSError:  # it has just ended, or is not ours
        return pid


def fail_if(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


@every_page
def test_every_snippet_stands_in_a_file(name: str) -> None:
    """In any file of the chapter; outside the chapters, of the whole project. A snippet that
    is meant to be wrong says so: ```c wrong."""
    page = Page(name)
    texts = sources(page.chapter)
    texts.update({f"docs/{file}": text for file, text in sources(TOP / "docs").items()})
    fail_if([page.complain(block.line, "no file has these lines:\n" + "\n".join(block.lines))
             for block in page.blocks_of("c")
             if "wrong" not in block.words
             and not any(stands_in(block.lines, text) for text in texts.values())])


@every_page
def test_a_whole_program_is_the_whole_file(name: str) -> None:
    page = Page(name)
    texts = sources(page.chapter).values()
    fail_if([page.complain(block.line, "this program ends or begins elsewhere in its file")
             for block in page.blocks_of("c")
             if block.lines[0].startswith(("#include", "/* Broken")) and block.lines[-1] == "}"
             and "..." not in block.lines and block.lines not in texts])


@every_page
def test_every_diff_is_a_real_one(name: str) -> None:
    """```diff ONE OTHER, seen from the page, is `diff -u` of these; ```diff FILE.patch has lines
    of that file."""
    page = Page(name)
    problems = []
    for block in page.blocks_of("diff"):
        files = [(page.path.parent / word).resolve() for word in block.words[1:3]]
        real = files[0].read_text(encoding="utf-8") if len(files) == 1 else subprocess.run(
            ["diff", "-U9999", *files], capture_output=True, text=True, check=False).stdout
        if not stands_in(block.lines, real.splitlines()):
            problems.append(page.complain(block.line, "no diff of these files has:\n"
                                          + "\n".join(block.lines)))
    fail_if(problems)


def cells(row: str) -> list[str]:
    """The cells of a line of a table, plain: no bold, no backticks, no commas in numbers."""
    plain = re.sub(r"[*`]|(?<=\d),(?=\d{3})|\[([^]]*)\]\([^)]*\)", r"\1", row)
    return [cell.strip() for cell in plain.strip().strip("|").split("|")]


@every_page
def test_every_measured_table_is_its_results_file(name: str) -> None:
    """A table, then the sentence that links to FILE.csv: the same cells in both."""
    page = Page(name)
    problems, table, start = [], [], 0
    for number, line in enumerate(page.prose, start=1):
        link = re.search(r"\(([^()\s]+\.csv)\)", line)
        if line.startswith("|"):
            start = start if table else number
            table.append(cells(line))
        elif link and table:
            text = (page.path.parent / link[1]).read_text(encoding="utf-8")
            results = [row.split(",") for row in text.splitlines()]
            shown = [row for row in table[1:] if not re.fullmatch(r"[-:]+", row[0])]
            if not all(row in results for row in shown):
                problems.append(page.complain(start, f"not what {link[1]} says"))
            table = []
        elif line and not line.startswith("(") and not link:
            table = []
    fail_if(problems)


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ +(.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", head)).strip().lower()
            .replace(" ", "-") for head in heads}


def broken(page: Page, target: str) -> Optional[str]:
    if re.match(r"https?://\S+$|mailto:", target):
        return None
    file, _, anchor = target.partition("#")
    path = (page.path.parent / file) if file else page.path
    if not path.exists():
        return f"{target} is not there"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return f"{target}: no such heading"
    return None


@every_page
def test_every_link_and_picture_is_there(name: str) -> None:
    page = Page(name)
    found = [(number, target) for number, line in enumerate(page.prose, start=1)
             for target in re.findall(r"\]\(([^()\s]+)\)|src=\"([^\"]+)\"|srcset=\"([^\"]+)\"", line)]
    problems = [page.complain(number, wrong) for number, targets in found
                for wrong in [broken(page, "".join(targets))] if wrong]
    for picture in re.findall(r"<img [^>]*>", "\n".join(page.prose)):
        if not re.search(r'alt="[^"]{20,}"', picture.replace("\n", " ")):
            problems.append(f"{name}: no words for those who cannot see {picture}")
    fail_if(problems)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_for_every_reader(name: str) -> None:
    """Light and dark, on a background of its own, with words that are large enough."""
    text = (TOP / name).read_text(encoding="utf-8")
    picture = ElementTree.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    width, height = picture.attrib["viewBox"].split()[2:]
    background = next(picture.iter(svg + "rect"))
    assert (background.get("width"), background.get("height")) == (width, height), \
        "the first rect is no background: it must be as large as the picture"
    assert "prefers-color-scheme: dark" in text, "no colours for the dark"
    assert "var(" not in text, "some programs draw what uses var() black"
    assert picture.find(svg + "title") is not None and picture.find(svg + "desc") is not None
    smallest = min(map(float, re.findall(r"font-size[:=]\s*\"?([\d.]+)", text)))
    assert smallest * 360 / float(width) >= 12.9, "too small on a telephone, 360 pixels wide"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_on_a_page(name: str) -> None:
    assert any(Path(name).name in Page(page).text for page in page_names())


@pytest.mark.parametrize("traced", [path.stem for path in sorted((TOP / "docs/traces").glob("*.txt"))])
def test_a_timeline_is_drawn_from_its_trace(traced: str) -> None:
    draw = runpy.run_path(str(TOP / "tests" / "trace" / "trace.py"))["draw"]
    trace = (TOP / "docs" / "traces" / f"{traced}.txt").read_text(encoding="utf-8")
    assert draw(traced, trace) == (TOP / traced / "evening.svg").read_text(encoding="utf-8")


def test_the_five_evenings_are_drawn_from_their_traces() -> None:
    drawing = runpy.run_path(str(TOP / "tests" / "trace" / "trace.py"))
    traces = {way: (TOP / "docs" / "traces" / f"{way}.txt").read_text(encoding="utf-8")
              for way in drawing["WAYS"]}
    assert drawing["draw_five"](traces) == \
        (TOP / "docs" / "five-evenings.svg").read_text(encoding="utf-8")


class Recording:
    """An evening, recorded in a copy of what it takes."""

    def __init__(self) -> None:
        if not shutil.which("strace"):
            pytest.skip("an evening is recorded by strace")
        self.place = tempfile.TemporaryDirectory(prefix="evening-")
        self.top = Path(self.place.name)
        for name in ("03-select", "tests/trace"):
            shutil.copytree(TOP / name, self.top / name)
        self.process = proc.start([sys.executable, str(self.top / "tests/trace/trace.py"), "03-select"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        proc.end(self.process)
        self.place.cleanup()


@pytest.mark.early(begin=Recording)
def test_a_reader_records_an_evening_in_a_picture_of_its_own(early: Recording) -> None:
    """Nothing of the book is overwritten, and no server is left behind."""
    said, _ = early.process.communicate(timeout=60)
    assert early.process.returncode == 0, said.decode()
    chapter = early.top / "03-select"
    assert "from 0.0 to" in (chapter / "evening-mine.svg").read_text(encoding="utf-8")
    for name in ("README.md", "evening.svg"):
        assert (chapter / name).read_bytes() == (TOP / "03-select" / name).read_bytes()
    assert [pid for pid in Path("/proc").glob("[0-9]*") if proc_cwd(pid) == chapter] == []


def test_the_figure_of_chapter_4_is_drawn_from_its_results() -> None:
    measured = TOP / "docs" / "measured"
    picture = runpy.run_path(str(measured / "measure.py"))["picture"]
    assert picture((measured / "silent.csv").read_text(encoding="utf-8")) == \
        (TOP / "04-epoll" / "told-once.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["04-epoll/README.md", "05-async-tasks/README.md"])
def test_the_lines_that_a_solution_changes_are_counted(name: str) -> None:
    patch = (TOP / "docs" / "solutions" / "04c.patch").read_text(encoding="utf-8")
    files = len(re.findall(r"^\+\+\+ ", patch, re.M))
    changed = len(re.findall(r"^[-+]", patch, re.M)) - 2 * files
    assert (changed, files) == (42, 3)
    assert re.search(r"orty-two\s+changed\s+lines\s+in\s+three\s+files", Page(name).text)


# A command that runs the rest of its line with a network and processes of its own.
NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc",
              "--kill-child")


class Play:
    """A page's sessions, typed in a copy of the repository."""

    def __init__(self, name: str) -> None:
        typed = " ".join(step.typed for step in steps_of(Page(name)))
        missing = [tool for tool in TOOLS
                   if re.search(rf"\b{tool} ", typed) and not shutil.which(tool)]
        if missing:
            pytest.skip(f"this page is typed with {', '.join(missing)}, not found here")
        if not shutil.which("unshare") or proc.run([*NAMESPACES, "true"]).returncode != 0:
            pytest.skip("`unshare --net --pid` is not allowed here: 8080 may not be free")
        self.place = tempfile.TemporaryDirectory(prefix="page-")
        copy = Path(self.place.name, "copy")
        shutil.copytree(TOP, copy, symlinks=True, ignore=shutil.ignore_patterns(
            ".*", "__pycache__", "server", "client", "*.o", "*.d", "tiny"))
        self.process = proc.start(
            [*NAMESPACES, sys.executable, "-m", "pages.replay", name, str(copy)],
            {"PYTHONPATH": str(TOP / "tests")}, cwd=copy, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    def wrong(self) -> str:
        """What did not go as shown."""
        said, _ = self.process.communicate(timeout=300)
        return said.decode("utf-8", "replace") if self.process.returncode else ""

    def stop(self) -> None:
        proc.end(self.process)
        self.place.cleanup()


@pytest.mark.early(begin=Play)
@pytest.mark.parametrize("name", [name for name in page_names() if steps_of(Page(name))])
def test_every_session_goes_as_shown(name: str, early: Play) -> None:
    wrong = early.wrong()
    if wrong:
        pytest.fail(wrong, pytrace=False)
