"""Much of everything: guests who come all the time, and thousands who stay and say nothing.

    THOROUGH=1 pytest tests/test_load.py    a minute instead of a second, 19,000 guests
"""

from __future__ import annotations

import time

import pytest

from conftest import StartServer
from support import machine
from support.guests import Crowd
from support.servers import SANITIZER, Server
from support.story import Story

SECONDS = 60 if machine.THOROUGH else 1
PACE = 1000  # guests a second
WAVE = 500  # come at once; fewer than may stand at the door
MOST_FOR_A_GUEST = 1024  # bytes: "a small struct", "a task"


@pytest.mark.fault(28, happened="no trace")
def test_a_thousand_guests_a_second_leave_no_trace(server: Server, story: Story) -> None:
    """Or as many as this machine can: a slow one takes longer, and loses nobody either."""
    _come_for(server, 0.2)
    descriptors, threads, memory = server.descriptors(), server.threads(), server.memory()
    with story.summed_up(f"{PACE} guests a second came, were served and left, {SECONDS} s long"):
        _come_for(server, SECONDS)
    server.expect_descriptors(at_most=descriptors)
    server.expect_threads(at_most=threads)
    server.expect_memory(at_most=memory)


def _come_for(server: Server, seconds: float) -> None:
    start = time.monotonic()
    for number in range(int(seconds * PACE)):
        server.serves_a_new_guest()
        time.sleep(max(0, start + number / PACE - time.monotonic()))


@machine.thorough
@pytest.mark.fault(29)
@pytest.mark.promise("thousands")
@pytest.mark.parametrize("count", [10_000, 19_000])
def test_thousands_who_say_nothing_cost_next_to_nothing(
        start_server: StartServer, story: Story, count: int) -> None:
    machine.needs_descriptors(count + 500)
    server = start_server("--quiet")
    server.serves_a_new_guest()
    descriptors, threads, memory = server.descriptors(), server.threads(), server.memory()
    crowd = _come_in_waves(server, story, count)
    server.expect_calm(f"while {count} guests sit and say nothing")
    server.expect_threads(at_most=threads)
    each = (server.memory() - memory) / count
    story.check(bool(SANITIZER) or each < MOST_FOR_A_GUEST,
                f"less than {MOST_FOR_A_GUEST} bytes of memory for a guest", f"it is {each:.0f}")
    server.serves_a_new_guest()
    with story.summed_up("all of them left"):
        for guest in crowd:
            guest.leave()
    server.expect_descriptors(at_most=descriptors)
    server.serves_a_new_guest()


def _come_in_waves(server: Server, story: Story, count: int) -> Crowd:
    crowd = Crowd()
    with story.summed_up(f"{count} guests came, {WAVE} at once, and each said a word"):
        for _ in range(0, count, WAVE):
            wave = server.crowd(WAVE)
            wave.say_at_once([b"word"] * WAVE)
            crowd += wave
    return crowd
