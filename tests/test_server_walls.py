"""The walls: what a technique cannot do. A chapter must fail here, and the next one pass."""

from __future__ import annotations

import pytest

from conftest import StartServer
from support.chapters import Chapter
from support.guests import PATIENCE, Crowd
from support.servers import Server, binary, run_program
from support.story import Story
from test_server_slow_readers import GLIMPSE

FEW = 900  # within the reach of select()
MANY = 1100  # more than FD_SETSIZE, the 1,024 descriptors that select() can watch


@pytest.mark.fault(29)
@pytest.mark.wall("01-blocking", "its only thread sleeps in the read from the first guest")
def test_an_idle_guest_holds_up_nobody(server: Server, story: Story, chapter: Chapter) -> None:
    server.guest()
    second = server.guest()
    second.send(b"good evening")
    story.check_wall(second.hears_echo(PATIENCE if chapter.at_once else GLIMPSE),
                     f"an echo for {second.name} although the other is idle", "it hears nothing")
    second.read_echo()
    second.leave()


@pytest.mark.fault(29)
def test_who_waits_behind_an_idle_guest_is_served_when_that_one_leaves(
        server: Server, story: Story, chapter: Chapter) -> None:
    idle = server.guest()
    second = server.guest()
    second.send(b"I shall wait")
    idle.leave()
    second.read_echo()
    second.leave()
    story.outcome("served" if chapter.at_once else "waited, then served")


@pytest.mark.fault(26, 29)
@pytest.mark.promise("at_once")
@pytest.mark.no_sanitizer("it needs more address space than this test allows")
@pytest.mark.ours_only("a server of any other kind needs more memory to begin with")
@pytest.mark.wall("02-threads", "each guest has a stack, and there is no room for more of them")
def test_900_guests_fit_into_a_hundred_megabytes(
        start_server: StartServer, story: Story) -> None:
    """Of addresses: what `ulimit -v` counts. A stack takes 132 KiB of them, used or not."""
    server = start_server("--quiet", shell="ulimit -v 100000")
    crowd = server.crowd(FEW)
    served = _count_the_served(crowd, story)
    story.check_wall(served == FEW, f"an echo for each of {FEW} guests", f"{served} got one")
    crowd.leave()


@pytest.mark.fault(18)
@pytest.mark.promise("at_once")
@pytest.mark.wall("03-select", "select() cannot watch a descriptor from 1,024 on")
def test_1100_guests_are_served_at_once(server: Server, story: Story) -> None:
    crowd = server.crowd(MANY)
    served = _count_the_served(crowd, story)
    story.check_wall(served == MANY, f"an echo for each of {MANY} guests", f"{served} got one")
    crowd.leave()


@pytest.mark.fault(18, happened="turned away with a line on stderr, those inside served")
@pytest.mark.promise("below_fd_setsize")
def test_guests_beyond_the_wall_are_turned_away_and_those_inside_served(
        server: Server, story: Story) -> None:
    crowd = server.crowd(MANY)
    served = _count_the_served(crowd, story)
    story.check(900 < served < 1024, "somewhat fewer than 1,024 guests to be served",
                f"{served} are")
    story.check(server.stderr.wait_for(bool, PATIENCE), "a line on stderr", "it is silent")
    with story.summed_up("the first 500 left"):
        for guest in crowd[:500]:
            guest.leave()
    server.serves_a_new_guest()


@pytest.mark.fault(18)
@pytest.mark.wall("03-select", "select() cannot watch a descriptor from 1,024 on")
def test_descriptors_beyond_1024_are_as_good_as_others(
        start_server: StartServer, story: Story, chapter: Chapter) -> None:
    story.tell(f"the server will start with all descriptors below {MANY} in use")
    if chapter.below_fd_setsize:
        ended = run_program(story, binary(chapter, "server"), "--port", "0", held_below=MANY)
        story.check(ended.returncode == 1 and ended.stderr.startswith("server: "),
                    "a clear line and exit status 1",
                    f"exit status {ended.returncode} and: {ended.stderr}")
        story.check_wall(False, "the server to serve", f"it says: {ended.stderr.strip()}")
    server = start_server(held_below=MANY)
    server.serves_a_new_guest()


def _count_the_served(crowd: Crowd, story: Story) -> int:
    with story.summed_up("each of them sent a byte, and listened"):
        return sum(guest.is_served() for guest in crowd)
