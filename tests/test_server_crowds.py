"""Many guests at once: nobody is lost, nothing is crossed, and nothing is left behind."""

from __future__ import annotations

import random

import pytest

from conftest import StartServer
from support import machine
from support.chapters import Chapter
from support.servers import Server
from support.story import Story

IN_A_ROW = 100_000 if machine.THOROUGH else 4000

@pytest.mark.promise("at_once")
def test_200_guests_speak_at_once_and_nothing_is_crossed(server: Server) -> None:
    crowd = server.crowd(200)
    for turn in range(3):
        crowd.say_at_once([random.Random(turn * 1000 + number).randbytes(1 + 37 * number)
                           for number in range(200)])
    crowd.leave()


def test_200_guests_at_the_door_are_served_one_after_the_other(
        server: Server, story: Story) -> None:
    """In 01 there is no other way; elsewhere it must work as well."""
    crowd = server.crowd(200)
    with story.summed_up("each of them sent 1,000 random bytes"):
        for number, guest in enumerate(crowd):
            guest.send(random.Random(number).randbytes(1000))
    crowd.leave()


@pytest.mark.parametrize("count", [
    pytest.param(16, marks=pytest.mark.fault(20)),
    pytest.param(200, marks=pytest.mark.fault(19)),
])
def test_guests_who_came_while_the_server_was_away_are_all_served(
        server: Server, story: Story, count: int) -> None:
    """They all arrive in one event: who accepts one guest an event loses the others."""
    with server.paused():
        crowd = server.crowd(count, knock_only=True)
    with story.summed_up("each of them said hello"):
        for number, guest in enumerate(crowd):
            guest.send(b"hello from %d" % number)
    crowd.leave()


@pytest.mark.fault(29)
@pytest.mark.promise("at_once")
def test_a_crowd_is_served_rests_and_leaves_no_trace(
        start_server: StartServer, story: Story, chapter: Chapter) -> None:
    """A shell often allows 1,024 descriptors only; a server may raise that by itself, up to
    the hard limit, and ours have to."""
    server = start_server(shell="" if chapter.is_foreign else "ulimit -Sn 256")
    server.serves_a_new_guest()
    descriptors, threads = server.descriptors(), server.threads()
    crowd = server.crowd(chapter.crowd)
    crowd.say_at_once([b"guest %d" % number for number in range(chapter.crowd)])
    server.expect_calm(f"while {chapter.crowd} guests sit and say nothing")
    with story.summed_up("all of them closed"):
        for guest in crowd:
            guest.close()
    server.expect_descriptors(at_most=descriptors)
    server.expect_threads(at_most=threads)
    server.serves_a_new_guest()


@pytest.mark.fault(28, happened="no trace")
def test_thousands_of_guests_in_a_row_leave_no_trace(
        start_server: StartServer, story: Story, chapter: Chapter) -> None:
    server = start_server("--quiet", shell="" if chapter.is_foreign else "ulimit -n 24")
    if chapter.is_foreign:
        server.leave_descriptors(20)
    with story.summed_up("100 guests came, one after the other, said a message and left"):
        for _ in range(100):
            server.serves_a_new_guest()
    descriptors, threads, memory = server.descriptors(), server.threads(), server.memory()
    with story.summed_up(f"another {IN_A_ROW} did the same"):
        for _ in range(IN_A_ROW):
            server.serves_a_new_guest()
    server.expect_descriptors(at_most=descriptors)
    server.expect_threads(at_most=threads)
    server.expect_memory(at_most=memory)
