"""The runtime of 05-async-tasks, from inside: unit tests in C; the whole server against a kernel
made for it, in every order of events there is; and planted bugs, which that check must find.

    THOROUGH=1 pytest tests/test_runtime.py    one surprise more in each run, and a fuzzer
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable, Optional

import pytest

from support.chapters import REPOSITORY

CHAPTER = REPOSITORY / "05-async-tasks"
SOURCES = REPOSITORY / "tests" / "runtime"
THOROUGH = os.environ.get("THOROUGH", "") not in ("", "0")
FUZZ_SECONDS = 60

pytestmark = pytest.mark.ours_only("about the code of 05-async-tasks, not about a server")


def _names(pattern: str, files: str) -> list[str]:
    """The tests of a C file, as the source lists them: nothing is built to collect them."""
    return [name for file in sorted(SOURCES.glob(files))
            for name in re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)]


UNITS = _names(r"^TEST\((\w+)\)", "unit_*.c")
SCENARIOS = _names(r'^    \{"([\w-]+)", \.guests', "exhaustive.c")

# Which fault of faults.py a unit test is about, and what a task makes of it.
FAULTS = (
    (35, r"rung_|a_ring_", "the task runs"),
    (37, r"woken_twice|woken_while|not_woken", "polled once, or once more"),
    (38, r"woken_after|woken_in_its_last", "nothing happens"),
    (39, r"cancelled_", "nobody else hears of it"),
    (40, r"\w*(sleep|timeout)", "each ends once"),
    (41, r"two_tasks_that_never_wait|the_budget", "the echo is answered"),
    (42, r"a_hundred_pending|left_over|a_task_spawned_by_a_drop", "each is dropped once"),
)


def _about(unit: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.fault(number, chapter=CHAPTER.name, happened=happened)
            for number, names, happened in FAULTS if re.match(names, unit)]


# ---- building ----------------------------------------------------------------------------


@lru_cache(maxsize=None)
def _sanitizing_compiler() -> Optional[str]:
    """clang, so that both compilers see the code; else whichever can do it."""
    for compiler in ("clang", os.environ.get("CC", "cc"), "gcc"):
        if _links(compiler, "-fsanitize=address,undefined", "int main(void) { return 0; }"):
            return compiler
    return None


def _links(compiler: str, option: str, program: str) -> bool:
    if shutil.which(compiler) is None:
        return False
    return subprocess.run([compiler, option, "-x", "c", "-", "-o", os.devnull], input=program,
                          text=True, capture_output=True, check=False).returncode == 0


def _make(target: str, build: Path, *arguments: str) -> Path:
    program = build / target
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SAN", "CFLAGS")}
    made = subprocess.run(
        ["make", "-s", "-j2", "-C", str(SOURCES), str(program), f"BUILD={build}",
         "CFLAGS=-O1 -g -Werror", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False)
    if made.returncode != 0:
        pytest.fail(f"tests/runtime cannot be built:\n{made.stdout}", pytrace=False)
    return program


Build = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build("unit", "address"): the program, built once."""
    top = tmp_path_factory.mktemp("runtime")

    @lru_cache(maxsize=None)
    def built(target: str, kind: str) -> Path:
        if kind == "plain":
            return _make(target, top / kind)
        compiler = "clang" if kind == "fuzzer" else _sanitizing_compiler()
        if compiler is None:
            pytest.skip("no compiler here has AddressSanitizer")
        return _make(target, top / kind, f"SAN={kind}", f"CC={compiler}")

    return built


def _run(*command: object, **environment: str) -> tuple[int, str]:
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env={**os.environ, **environment}, check=False)
    return done.returncode, done.stdout


def _must_pass(*command: object) -> str:
    status, output = _run(*command)
    if status != 0:
        pytest.fail(f"{output}\n(exit status {status})", pytrace=False)
    return output

# ---- the tests ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "address"])
@pytest.mark.parametrize("unit", [pytest.param(unit, marks=_about(unit)) for unit in UNITS])
def test_unit(build: Build, unit: str, kind: str) -> None:
    _must_pass(build("unit", kind), unit)


def test_the_list_of_unit_tests_is_complete(build: Build) -> None:
    assert sorted(_must_pass(build("unit", "plain"), "--list").split()) == sorted(UNITS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_order_of_events(build: Build, scenario: str,
                               record_property: Callable[[str, object], None]) -> None:
    more = ["-s", "1"] if THOROUGH else []
    output = _must_pass(build("exhaustive", "plain"), *more, scenario)
    print(output)
    runs = re.search(r"(\d+) runs", output)
    assert runs and int(runs.group(1)) > 1000, output
    record_property("runs", int(runs.group(1)))


def test_every_order_of_fewer_events_under_a_sanitizer(build: Build) -> None:
    print(_must_pass(build("exhaustive", "address"), "-s", "0" if THOROUGH else "-1"))


def test_a_run_can_be_told(build: Build) -> None:
    told = _must_pass(build("exhaustive", "plain"), "two-guests", "0")
    for step in ("guest A comes to the door", "guest A sends 2", "epoll reports guest A: readable",
                 "recv from guest A gives 2", "send to guest A takes 2 of 2", "Ctrl-C"):
        assert re.search(rf"^ *\d+\. {re.escape(step)}", told, re.MULTILINE), told

# ---- planted bugs ------------------------------------------------------------------------


@dataclass(frozen=True)
class Bug:
    name: str
    scenario: str  # where it shows
    words: str  # of the story that tells it
    changes: tuple[tuple[str, str, str], ...]  # file, what stands there once, what instead


SLEEPS = "the server sleeps for ever, and guest"

BUGS = (
    Bug("a-wake-during-the-poll-is-lost", "two-guests", SLEEPS, (
        # `queued` is cleared after the poll instead of before
        ("task.c", "        task->queued = false;\n        if (", "        if ("),
        ("task.c", "    tasks.running = NULL;\n    if (",
         "    tasks.running = NULL;\n    task->queued = false;\n    if ("))),
    Bug("readiness-forgotten-after-a-full-read", "much-to-say", SLEEPS, (
        ("reactor.h", "moved < asked", "moved <= asked"),)),
    Bug("readiness-not-remembered", "two-guests", SLEEPS, (
        ("reactor.c", "    bell->heard |= events;",
         "    bell->heard |= events & (MORE_TO_COME |\n"
         "        (bell->reader != NULL ? EPOLLIN : 0) | (bell->writer != NULL ? EPOLLOUT : 0));"),)),
    Bug("readiness-never-forgotten", "two-guests", "goes in circles", (
        ("reactor.h", "moved == -EAGAIN || (less", "(less"),)),
    Bug("a-drop-leaves-its-waker", "idle", "crashed", (
        ("net.c", "bell_forget(((struct tcp_readable *)future)->bell, READ_SIDE);",
         "(void)future;"),)),
    Bug("goodbye-not-remembered", "two-guests", SLEEPS, (
        ("reactor.h", " && !(side == READ_SIDE && bell->heard & MORE_TO_COME)", ""),)),
    Bug("the-rest-of-a-short-write-is-lost", "little-room", "gets the wrong byte", (
        ("net.c", "self->length -= (size_t)sent", "self->length = 0"),)),
    Bug("a-plate-is-given-back-twice", "two-guests", "WRONG", (
        ("server_guest.c", "    plate_return(self->plate);\n    self->plate = NULL;",
         "    plate_return(self->plate);"),)),
    Bug("what-a-function-holds-is-kept-at-its-end", "two-guests", "WRONG", (
        ("future.h", "    future_drop(future);\n    return READY(number);",
         "    (void)future;\n    return READY(number);"),)),
    Bug("one-guest-taken-in-for-an-edge", "two-guests", SLEEPS, (
        ("net.c", "    int error = reactor_add(fd, 0, &stream->bell);\n",
         "    bell_used(listener->bell, READ_SIDE, 0, 1);\n"
         "    int error = reactor_add(fd, 0, &stream->bell);\n"),)),
    Bug("timers-are-never-looked-at", "ctrl-c", "goes in circles", (
        ("runtime.c", "timers_wake();", ""),)),
    Bug("an-interrupted-read-is-an-error", "faults", "closes the table", (
        ("sockets.c", "        if (errno != EINTR)\n            return -errno;\n    }\n}\n\n"
         "ssize_t socket_write", "        return -errno;\n    }\n}\n\nssize_t socket_write"),)),
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(build: Build, tmp_path: Path, bug: Bug) -> None:
    chapter = tmp_path / CHAPTER.name
    shutil.copytree(CHAPTER, chapter, ignore=lambda _, names: [
        name for name in names if not name.endswith((".c", ".h"))])
    shutil.copytree(build("exhaustive", "plain").parent, tmp_path / "build")
    for file, stands, instead in bug.changes:
        text = (chapter / file).read_text(encoding="utf-8")
        if text.count(stands) != 1:
            pytest.fail(f"{file} has changed: the bug cannot be planted, as this stands in it "
                        f"{text.count(stands)} times:\n{stands}", pytrace=False)
        (chapter / file).write_text(text.replace(stands, instead), encoding="utf-8")
    program = _make("exhaustive", tmp_path / "build", f"CHAPTER={chapter}")
    status, story = _run(program, bug.scenario)
    if status == 0 or bug.words not in story:
        pytest.fail(f'expected a story with the words "{bug.words}", but it says:\n{story}',
                    pytrace=False)
    again = re.search(r"^Once more: \S+ (-s \S+ \S+ \S+)$", story, re.MULTILINE)
    assert again, story
    told = _run(program, *again.group(1).split())
    assert told[0] != 0 and told[1].splitlines()[-2:] == story.splitlines()[-2:], told[1]

# ---- the fuzzer --------------------------------------------------------------------------


@pytest.mark.skipif(not THOROUGH, reason="only in the thorough run: THOROUGH=1")
def test_fuzz(build: Build, tmp_path: Path) -> None:
    program = "int LLVMFuzzerTestOneInput(void) { return 0; }"
    if not _links("clang", "-fsanitize=fuzzer,address,undefined", program):
        pytest.skip("no clang with libFuzzer here")
    fuzz = build("fuzz", "fuzzer")
    status, output = _run(fuzz, f"-max_total_time={FUZZ_SECONDS}", "-max_len=4096",
                          f"-artifact_prefix={tmp_path}/")
    print(output[-300:])
    for found in tmp_path.iterdir():
        _, output = _run(fuzz, found, TELL="1")
    if status != 0:
        pytest.fail(output, pytrace=False)
