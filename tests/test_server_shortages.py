"""No descriptors, no threads, no memory left: a shortage passes, the server stays."""

from __future__ import annotations

import pytest

from conftest import StartServer
from support import facts
from support.chapters import Chapter
from support.guests import PATIENCE
from support.servers import Server
from support.story import Story


@pytest.mark.fault(10, happened="waited, then served")
def test_without_descriptors_guests_wait_and_nobody_is_lost(
        start_server: StartServer, story: Story, chapter: Chapter) -> None:
    server = start_server(shell="" if chapter.is_foreign else "ulimit -n 16")
    if chapter.is_foreign:
        server.leave_descriptors(10)
    crowd = server.crowd(30)
    with story.summed_up("each of them sent a message"):
        for number, guest in enumerate(crowd):
            guest.send(b"guest %d of 30" % number)
    story.check(crowd[0].hears_echo(PATIENCE), "an echo for the first of them", "none came")
    server.expect_calm("while there are more guests than descriptors")
    words = server.stderr.size
    story.check(words < 65536, "a few words about it in the log", f"it wrote {words} bytes")
    with story.summed_up("the first 20 of them closed"):
        for guest in crowd[:20]:
            guest.close()
    with story.summed_up("the last 10 read their echoes and left, one after the other"):
        for guest in crowd[20:]:
            guest.read_echo()
            guest.leave()
    server.serves_a_new_guest()


@pytest.mark.fault(26, happened="turned away with a line on stderr, the next one served")
@pytest.mark.promise("many_threads")
@pytest.mark.no_sanitizer("it needs more address space than this test allows")
def test_without_threads_a_guest_is_turned_away_and_the_next_is_served(
        start_server: StartServer, story: Story) -> None:
    server = start_server(shell="ulimit -v 64000")
    server.serves_a_new_guest()
    turned_away, crowd = False, []
    with story.summed_up("guests came and stayed, each with a message, until one was sent away"):
        while not turned_away and len(crowd) < 2000:
            guest = server.guest()
            crowd.append(guest)
            turned_away = not guest.is_served()
    story.check(turned_away, "64 MB not to be enough for 2,000 threads", "they were")
    story.check(server.stderr.wait_for(bool, PATIENCE), "a line on stderr", "it is silent")
    with story.summed_up(f"the {len(crowd)} guests left"):
        for guest in crowd:
            guest.close()
    server.expect_threads(at_most=1)
    server.serves_a_new_guest()


@pytest.mark.fault(24, happened="all are close-on-exec")
def test_no_descriptor_outlives_its_server_in_a_child(server: Server, story: Story) -> None:
    """A copy that a child still holds keeps a closed connection open, and in epoll's list."""
    server.guest()
    guest = server.guest()
    guest.send(b"good evening")
    left = facts.inherited_by_children(server.process.pid)
    story.check(not left, "every descriptor but 0, 1 and 2 to be close-on-exec",
                f"{len(left)} are not close-on-exec: {' and '.join(left)}")
