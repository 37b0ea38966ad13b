"""The runtime of 05-async-tasks, from inside: unit tests in C; the runtime on a kernel made for
it, in every order of events there is; and planted bugs, which that check must find.

    THOROUGH=1 pytest tests/runtime    one surprise more in each run
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

from harness import proc
from harness.chapters import CHAPTERS, Chapter, building_place, mirror, needs_sanitizer
from harness.machine import THOROUGH, needs_64_bits

CHAPTER = CHAPTERS[4]
HERE = Path(__file__).parent

pytestmark = [pytest.mark.ours_only("about the code of 05-async-tasks, not about a server"),
              pytest.mark.promise("runtime")]


def names(pattern: str, files: str) -> list[str]:
    """As the sources list them: nothing is built to collect them."""
    return [name for file in sorted(HERE.glob(files))
            for name in re.findall(pattern, file.read_text(), re.MULTILINE)]


def each(values: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "name", [pytest.param(value, id=f"{CHAPTER.name}-{value}") for value in values])


TEST = r"^(?:TEST|OF_EVERY_LEAF)\((\w+)"
ABORTS = dict(names(r'^ABORTS\((\w+),\s+"(.*)"\)', "mistakes.c"))
STRESSED = ("echo", "half_close", *(("resets", "slow_readers", "closing") if THOROUGH else ()))

# Which fault of the list a unit test is about, and what a task makes of it.
FAULTS = (
    (35, r"a_message_ends_the_wait|an_event_wakes_all", "the task runs"),
    (37, r"a_task_woken_(twice|a_thousand)", "polled once, or once more"),
    (38, r"a_task_woken_or_cancelled_after|a_task_that_wakes_itself_and_ends", "nothing happens"),
    (39, r"a_cancelled_|a_task_that_is_cancelled_while", "nobody else hears of it"),
    (40, r"\w*(sleep|limit|time_out)", "each ends once"),
    (41, r"beside_tasks_that_never_wait", "the others go on"),
    (42, r"a_hundred_tasks|a_task_that_is_spawned_by_a_drop", "each is dropped once"),
)


# ---- building ----------------------------------------------------------------------------

@lru_cache(maxsize=None)
def build(target: str, san: str = "", chapter: Path = CHAPTER.directory, key: str = "",
          *more: str) -> Path:
    """The program `unit` or `exhaustive`, made by the Makefile beside this file."""
    needs_sanitizer(san)
    needs_64_bits("the tests of the runtime")
    out = building_place() / "runtime" / (key or san or "plain")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as place:  # others may run what stands in `out`
        level = "-O0" if san else "-O1"
        made = proc.run(["make", "-s", "-C", str(HERE), target, f"OUT={place}", f"SAN={san}",
                         f"CHAPTER={chapter}", f"CFLAGS={level} -g", *more],
                        within=600, stderr=subprocess.STDOUT)
        if made.returncode == 0:
            os.replace(Path(place, target), out / target)
    if made.returncode != 0:
        missing = san and re.search(r"cannot find|No such file|unsupported", made.stdout)
        (pytest.skip if missing else pytest.fail)(f"tests/runtime cannot be built:\n{made.stdout}")
    return out / target


@lru_cache(maxsize=None)
def unit() -> Path:
    """With AddressSanitizer, where the compiler has it."""
    try:
        return build("unit", "address")
    except pytest.skip.Exception:
        return build("unit")


def run(*command: object) -> str:
    done = proc.run([str(word) for word in command], within=600, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        pytest.fail(f"{done.stdout}\n(exit status {done.returncode})", pytrace=False)
    return done.stdout


# ---- unit tests --------------------------------------------------------------------------

@each(names(TEST, "*.c"))
def test_unit(request: pytest.FixtureRequest, name: str) -> None:
    for number, pattern, happened in FAULTS:
        if re.match(pattern, name):
            request.node.add_marker(pytest.mark.fault(number, happened=happened,
                                                       chapter=CHAPTER.name))
    run(unit(), name)


@each(names(TEST, "threads.c"))
def test_unit_with_threads_has_no_data_race(name: str) -> None:
    run(build("unit", "thread", CHAPTER.directory, "thread", "UNITS=unit.c threads.c"), name)


@each(list(ABORTS))
def test_a_mistake_aborts_and_names_the_rule(name: str) -> None:
    done = proc.run([str(unit()), name], within=60)
    assert ABORTS[name] in done.stderr
    assert done.returncode == -signal.SIGABRT


def test_without_assertions_a_finished_future_does_not_start_again(chapter: Chapter) -> None:
    program = build("unit", "", chapter.directory, "release", "UNITS=unit.c mistakes.c",
                    "CFLAGS=-DNDEBUG")
    done = proc.run([str(program), "a_future_polled_after_it_was_ready"], within=60)
    assert done.returncode == -signal.SIGSEGV


# ---- mistakes that a compiler finds ------------------------------------------------------

EXAMPLES = str(HERE / "compile.c")


@lru_cache(maxsize=None)
def flags(compiler: str, level: str) -> list[str]:
    """Those of the chapter's own Makefile."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    line = proc.run(["make", "-n", "-B", "-C", str(CHAPTER.directory), "server",
                     f"CC={compiler}", f"CFLAGS={level}"]).stdout
    return [word for word in shlex.split(line) if re.match(r"-(W[a-z]|f|std|I|O)", word)]


@lru_cache(maxsize=None)
def warnings_of(compiler: str, level: str, *source: str) -> str:
    return proc.run([compiler, *flags(compiler, level), "-I.", "-c", "-o", os.devnull, *source],
                    cwd=CHAPTER.directory, stderr=subprocess.STDOUT).stdout or ""


def gcc_version() -> int:
    said = proc.run(["gcc", "-dumpversion"]).stdout if shutil.which("gcc") else ""
    return int(said.split(".")[0] or 99)


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@each(names(r"^#ifdef (\w+)", "compile.c"))
def test_a_compiler_finds(name: str, compiler: str, level: str) -> None:
    if compiler == "gcc" and level == "-O0" and gcc_version() < 12:
        pytest.skip("at -O0 only gcc 12 and newer find it")
    assert warnings_of(compiler, level, EXAMPLES) == ""
    assert re.search(r"warning:|error:", warnings_of(compiler, level, EXAMPLES, f"-D{name}"))


# ---- every order of events ---------------------------------------------------------------

@each(names(r'^    \{"([\w-]+)", \.', "exhaustive.c"))
def test_every_order_of_events(name: str) -> None:
    told = run(build("exhaustive"), int(THOROUGH), name)
    print(told)
    assert int(re.findall(r"(\d+) runs", told)[0]) > 1000


def test_fewer_orders_of_events_under_a_sanitizer(chapter: Chapter) -> None:
    run(build("exhaustive", "address"), int(THOROUGH) - 1)


def test_a_run_is_told_step_by_step(chapter: Chapter) -> None:
    told = run(build("exhaustive"), 0, "two-peers", "0")
    for step in ("peer 0 sends 2", "recv from peer 0 gives 2", "send to peer 0 takes 1 of 2"):
        assert step in told.splitlines(), told


SLEEPS = "the thread sleeps"
CANCEL = "    task->cancelled = true;\n    task_wake(&task->waker);"
BUGS = (  # name, the scenario that shows it, words of the story, what stands there, instead
    ("a wake during the poll is lost", "woken-for-nothing", SLEEPS, "task.c",
     "        long result = coop_turn(future_of(task), &task->waker, &task->queued);",
     "        task->queued = true;\n        long result = coop_turn(future_of(task), "
     "&task->waker, &task->queued);\n        task->queued = false;"),
    ("readiness is forgotten after a full read", "much-to-say", SLEEPS, "reactor.h",
     "(size_t)moved < asked", "(size_t)moved <= asked"),
    ("readiness that nobody waits for is not remembered", "two-peers", SLEEPS, "reactor.c",
     "source->ready |= event->events;",
     "source->ready |= event->events & (EPOLLRDHUP | (source->readers ? EPOLLIN : 0) |\n"
     "                                      (source->writers ? EPOLLOUT : 0));"),
    ("readiness is never forgotten", "two-peers", "goes in circles", "reactor.h",
     "    if (errno == EAGAIN)\n        source->ready &= ~side;\n", ""),
    ("the end of input is forgotten with a short read", "two-peers", SLEEPS, "reactor.h",
     "~(side & (EPOLLIN | EPOLLOUT))", "~side"),
    ("a drop leaves its waiter on the list", "other-thread-and-peer", "crashed", "inbox.c",
     "    waiter_leave(&((struct inbox_receive *)future)->waiter);", "    (void)future;"),
    ("the rest of a short write is lost", "little-room", "wrong byte", "net.c",
     "self->length -= (size_t)sent", "self->length = 0"),
    ("what a write could not send is not copied", "two-peers", "wrong byte", "net.c",
     "return keep_rest(self) ? PENDING", "return (void)keep_rest, true ? PENDING"),
    ("a used-up budget wakes nobody", "much-to-say", "WRONG", "future.h",
     "    waker->wake(waker);\n    return false;", "    (void)waker;\n    return false;"),
    ("the loop sleeps while a task is in the queue", "much-to-say", SLEEPS, "runtime.c",
     "wait_for_events(busy || root.woken)", "wait_for_events(((void)busy, root.woken))"),
    ("timers are never looked at", "limits", "goes in circles", "runtime.c",
     "        timers_wake(now);", "        (void)timers_wake;"),
    ("the clock is read after the events", "limits", "had spoken in time", "runtime.c",
     "timers_wake(now)", "timers_wake(clock_ms())"),
    ("a cancelled task is not woken", "cancel", SLEEPS, "task.c",
     CANCEL, "    task->cancelled = true;"),
    ("a task is dropped in the middle of its poll", "cancel", "WRONG", "task.c", CANCEL,
     "    if (task->done)\n        return;\n    future_drop(future_of(task));\n"
     "    finish(task, CANCELLED);"),
    ("a task is freed while it is in the queue", "join", "crashed", "task.c",
     "task->done && !task->attached && !task->queued", "task->done && !task->attached"),
    ("the end of a task wakes nobody who joins it", "join", SLEEPS, "task.c",
     "    waiters_wake(&task->joiners);\n", ""),
    ("an inbox forgets its other messages", "other-thread", SLEEPS, "inbox.c",
     "        if (*self->message != NULL)\n            return 0;\n        event->ready = 0;",
     "        event->ready = 0;\n        if (*self->message != NULL)\n            return 0;"),
    ("a message behind another makes no event", "other-thread", SLEEPS, "inbox.c",
     "        event->ready = 0;\n    }\n    return PENDING;",
     "        event->ready = 0;\n        (void)source_ready(event, READABLE, &self->waiter, "
     "waker);\n        *self->message = take(self->inbox);\n    }\n    return PENDING;"),
)


@pytest.mark.thorough
@pytest.mark.parametrize("name, scenario, words, file, stands, instead", BUGS,
                         ids=[bug[0].replace(" ", "-") for bug in BUGS])
def test_a_planted_bug_is_found(chapter: Chapter, name: str, scenario: str, words: str, file: str,
                                stands: str, instead: str) -> None:
    key = f"planted/{name.replace(' ', '-')}"
    copy = building_place() / "runtime" / key / chapter.name
    copy.mkdir(parents=True, exist_ok=True)
    source = mirror(chapter.directory, copy) / "runtime" / file
    text = source.read_text()
    assert text.count(stands) == 1, f"{file} has changed: the bug cannot be planted"
    source.write_text(text.replace(stands, instead))
    done = proc.run([str(build("exhaustive", "", copy, key)), "0", scenario],
                    within=300, stderr=subprocess.STDOUT)
    assert done.returncode != 0 and words in done.stdout, done.stdout


# ---- the server with a runtime that makes everything hard --------------------------------

def test_the_stress_build_passes_the_tests_of_a_server(chapter: Chapter) -> None:
    """One-byte transfers, one call a turn, needless wakes: only slower."""
    tests = [str(HERE.parent / "server" / f"test_{name}.py") for name in STRESSED]
    done = proc.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                     "--behaviour", "-k", chapter.name, *tests], {"SAN": "stress"}, within=600)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout


# ---- make explain ------------------------------------------------------------------------

def test_what_explain_shows_compiles(chapter: Chapter, tmp_path: Path) -> None:
    shown = proc.run(["make", "-s", "explain"], cwd=CHAPTER.directory).stdout
    assert not re.search(r"^ *(AWAIT|ASYNC)", shown, re.MULTILINE)
    assert re.search(r"^// +AWAIT", shown, re.MULTILINE) and "async_poll(&self->async" in shown
    server = (CHAPTER.directory / "server.c").read_text()
    begin = server.index(shown.splitlines()[0])
    end = server.index("\n}\n", begin) + 3
    changed = tmp_path / "server.c"
    changed.write_text(server[:begin] + shown + server[end:])
    assert warnings_of("gcc", "-O2", str(changed)) == ""
