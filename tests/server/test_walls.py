"""The walls: what a technique cannot do. A chapter must fail here, and the next one pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import proc
from harness.chapters import program
from harness.machine import library
from harness.server import GLIMPSE

FEW = 900  # within the reach of select()
MANY = 1100  # more than FD_SETSIZE, the 1,024 descriptors that select() can watch


@pytest.mark.fault(29)
@pytest.mark.wall("01-blocking", "its only thread sleeps in the read from the first client")
def test_an_idle_client_holds_up_nobody(server, story):
    server.client()
    second = server.client()
    second.send(b"good evening")
    story.check_wall(server.answers_at_once(second),
                     f"an echo for {second.name} although the other is idle", "it hears nothing")
    second.hear()
    second.finish()


@pytest.mark.fault(29)
def test_a_client_behind_an_idle_one_is_served_when_that_one_leaves(server, story, chapter):
    idle, second = server.crowd(2)
    second.send(b"I shall wait")
    idle.finish()
    second.hear()
    second.finish()
    story.outcome("served" if chapter.at_once else "waits, then served")


@pytest.mark.fault(26, 29)
@pytest.mark.promise("at_once")
@pytest.mark.no_sanitizer("it needs more address space than this test allows")
@pytest.mark.ours_only("a server of any other kind needs more memory to begin with")
@pytest.mark.wall("02-threads", "each connection has a stack, and there is no room for 900")
def test_900_clients_fit_into_a_hundred_megabytes(start_server, story):
    """Of addresses: what `ulimit -v` counts. A stack takes them all, used or not."""
    crowd = start_server("--quiet", shell="ulimit -v 100000").crowd(FEW)
    served = crowd.count_served()
    story.check_wall(served == FEW, f"an echo for each of {FEW} clients", f"{served} got one")
    crowd.finish()


@pytest.mark.fault(18)
@pytest.mark.promise("at_once")
@pytest.mark.wall("03-select", "select() cannot watch a descriptor from 1,024 on")
def test_1100_clients_are_served_at_once(server, story):
    crowd = server.crowd(MANY)
    served = crowd.count_served()
    story.check_wall(served == MANY, f"an echo for each of {MANY} clients", f"{served} got one")
    crowd.finish()


@pytest.mark.fault(18, happened="turned away")
@pytest.mark.promise("below_fd_setsize")
def test_clients_beyond_the_wall_are_turned_away_and_those_inside_served(server, story):
    crowd = server.crowd(MANY)
    served = crowd.count_served()
    story.check(900 < served < 1024, "somewhat fewer than 1,024 clients to be served",
                f"{served} are")
    server.errors.expect_something()
    with story.summed_up("the first 500 left"):
        for client in crowd[:500]:
            client.finish()
    server.serves_a_new_client()


@pytest.mark.fault(18)
@pytest.mark.ours_only("how it starts")
@pytest.mark.wall("03-select", "select() cannot watch a descriptor from 1,024 on")
def test_descriptors_beyond_1024_are_as_good_as_others(start_server, story, chapter):
    story.tell(f"the server will start with all descriptors below {MANY} in use")
    if chapter.below_fd_setsize:
        ended = proc.run(proc.holding([str(program(chapter, "server")), "--port", "0"], MANY))
        story.check(ended.returncode == 1 and ended.stderr.startswith("server: "),
                    "a clear line and exit status 1",
                    f"exit status {ended.returncode} and: {ended.stderr}")
        story.check_wall(False, "the server to serve", f"it says: {ended.stderr.strip()}")
    start_server(prefix=proc.holding(["env"], MANY)).serves_a_new_client()


@pytest.mark.promise("at_once")
@pytest.mark.ours_only("the calls that it makes")
@pytest.mark.no_sanitizer("its library must be loaded first")
@pytest.mark.wall("03-select", "whatever computes for one connection keeps the only thread")
@pytest.mark.wall("04-epoll", "whatever computes for one connection keeps the only thread")
@pytest.mark.wall("05-async-tasks", "a task that never awaits keeps the thread (in Tokio such "
                  "work goes to spawn_blocking, here to offload)")
def test_a_message_that_takes_for_ever_to_compute_holds_up_nobody(start_server, story, chapter):
    """The wall of 05, which 02 has left long ago."""
    server = start_server(env={
        "LD_PRELOAD": str(library(Path(__file__).with_name("thinking.c")))})
    other, thinker = server.crowd(2)
    other.say(b"good evening")
    thinker.send(b"think")
    story.check(not thinker.hears(GLIMPSE), "it to think about that", "it answers")
    other.send(b"and good night")
    can = chapter.many_threads
    story.check_wall(other.hears() if can else other.hears(GLIMPSE),
                     f"an echo for {other.name}", "it hears nothing")
