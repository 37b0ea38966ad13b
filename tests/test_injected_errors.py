"""Every system call fails, with every error that its manual page lists, at several places.

A short evening at a server, or an errand of a client, is run for each of them: strace(1) puts the
error in the place of the call. sweep/table.py says what may come of each. Some five thousand
runs: pytest tests/ does a few of them, make test-thorough all.

    THOROUGH=1 pytest tests/test_injected_errors.py -k 'server and 04-epoll'
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Iterable, Optional

import pytest

from support import shims
from support.chapters import Chapter
from support.evening import HANGS, SERVED, TURNED_AWAY, Evening, spend_evening
from support.servers import SANITIZER, binary
from support.story import Story
from support_clients.errands import ERRANDS, Errand, Result, run_errand
from support_clients.wrong_servers import StartPythonServer, echo
from sweep import strace
from sweep.strace import Found, Injection
from sweep.table import CLIENT, CLIENT_LEAVES, SERVER, SERVER_LEAVES, Leave, Row

pytest_plugins = "support_clients.fixtures"
pytestmark = [
    pytest.mark.ours_only("what it does when calls fail"),
    pytest.mark.skipif(bool(SANITIZER or shims.WORDS), reason="SAN or SHIM is set already"),
    pytest.mark.skipif(bool(strace.missing()), reason=strace.missing()),
]

THOROUGH = os.environ.get("THOROUGH", "") not in ("", "0")
SIDE_BY_SIDE = 8
SHORT_PATIENCE = 1.5  # seconds, where a guest may wait in vain

# The quick slice: what a server meets in life.
OFTEN = {
    "accept4": "ENFILE EMFILE ENOMEM ECONNABORTED",
    "recvfrom": "EINTR ENOMEM ECONNRESET",
    "sendto": "EINTR ENOMEM ECONNRESET",
    "epoll_wait": "EINTR",
    "epoll_ctl": "ENOMEM ENOSPC",
    "pselect6": "EINTR ENOMEM",
    "clone3": "EAGAIN",
}


def _injections(calls: dict[str, Found], table: dict[str, Row]) -> list[Injection]:
    unknown = sorted(set(calls) - set(table))
    if unknown:
        pytest.fail(f"sweep/table.py does not know these calls: {', '.join(unknown)}",
                    pytrace=False)
    every = [Injection(call, error, when) for call, found in calls.items()
             for error in table[call].errors() for when in strace.positions(found)]
    return every if THOROUGH else [one for one in every if one.error in OFTEN.get(one.call, "")]


def _leave(injection: Injection, chapter: Chapter, leaves: Iterable[Leave]) -> Optional[Leave]:
    for leave in leaves:
        if (injection.call in leave.calls.split() and chapter.name[1] in leave.chapters
                and (not leave.errors or injection.error in leave.errors.split())):
            return leave
    return None


def _sweep(story: Story, injections: list[Injection],
           judge: Callable[[Injection], str]) -> None:
    """`judge` does one run and tells what is wrong with it, if anything."""
    story.tell(f"let calls fail in {len(injections)} runs, each at another place or in another way")
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        told = list(threads.map(judge, injections))
    wrong = [f"{injection}: {words}" for injection, words in zip(injections, told) if words]
    print(f"{len(injections)} runs, {len(wrong)} of them wrong")
    story.check(not wrong, "each to end well",
                f"{len(wrong)} did not:\n  " + "\n  ".join(wrong))


# ---- servers ------------------------------------------------------------------------------

def test_a_server_whose_calls_fail_fails_nobody(chapter: Chapter, story: Story) -> None:
    usual = spend_evening(chapter, []).descriptors
    calls = strace.listen(lambda before: spend_evening(chapter, before))

    def judge(injection: Injection) -> str:
        leave = _leave(injection, chapter, SERVER_LEAVES)
        silent = injection.call in ("write", "poll")
        patience = {"patience": SHORT_PATIENCE} if leave and leave.may_hang else {}
        evening = spend_evening(chapter, injection.before(), silent=silent, **patience)
        return "" if _ended_well(evening, injection, chapter, leave, usual) else evening.told()

    _sweep(story, _injections(calls, SERVER), judge)


def _ended_well(evening: Evening, injection: Injection, chapter: Chapter,
                leave: Optional[Leave], usual: int) -> bool:
    carries_on = injection.error in SERVER[injection.call].carries_on.split()
    if not evening.listened:
        return not carries_on and evening.status == 1 and evening.stderr.startswith("server: ")
    allowed = {SERVED} if carries_on else {SERVED, TURNED_AWAY}
    allowed |= {HANGS} if leave and leave.may_hang else set()
    turned_away = evening.guests.count(TURNED_AWAY)
    # In 02 each guest has a thread of his own, and strace counts in each of them.
    at_most = 4 if chapter.many_threads or ".." in injection.when else 1
    clean = 0 if chapter.clean_goodbye else -15
    return (evening.status is None and evening.calm and evening.goodbye == clean
            and set(evening.guests) <= allowed and turned_away <= at_most
            and (not turned_away or bool(evening.stderr))
            and (evening.descriptors <= usual or HANGS in allowed))


# ---- clients ------------------------------------------------------------------------------

@pytest.mark.parametrize("errand", ERRANDS, ids=lambda errand: errand.name)
def test_a_client_whose_calls_fail_says_so(
        chapter: Chapter, story: Story, errand: Errand,
        start_python_server: StartPythonServer) -> None:
    binary(chapter, "client")
    port = start_python_server(echo).port
    calls = strace.listen(lambda before: run_errand(chapter, errand, port, before))

    def judge(injection: Injection) -> str:
        leave = _leave(injection, chapter, CLIENT_LEAVES)
        result = run_errand(chapter, errand, port, injection.before())
        return "" if _came_home(result, injection, leave) else result.told()

    _sweep(story, _injections(calls, CLIENT), judge)


def _came_home(result: Result, injection: Injection, leave: Optional[Leave]) -> bool:
    if "no progress" in result.stderr and not (leave and leave.may_wait):
        return False
    if leave and leave.may_be_silent and not result.hangs and result.status == 1:
        return True
    carries_on = injection.error in CLIENT[injection.call].carries_on.split()
    return not result.complaint() and not (carries_on and result.status != 0)
