"""No descriptors, no threads, no memory left: a shortage passes, the server stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import proc
from harness.chapters import Chapter
from harness.machine import library
from harness.proc import PATIENCE
from harness.server import Server, StartServer
from harness.story import Story


@pytest.mark.fault(10, happened="waited, then served")
def test_without_descriptors_clients_wait_and_none_is_lost(
        start_server: StartServer, story: Story, chapter: Chapter) -> None:
    server = start_server(shell="" if chapter.is_foreign else "ulimit -n 16")
    if chapter.is_foreign:
        server.leave_descriptors(10)
    crowd = server.crowd(30)
    with story.summed_up("each of them sent a message"):
        for number, client in enumerate(crowd):
            client.send(b"client %d of 30" % number)
    story.check(crowd[0].hears(PATIENCE), "an echo for the first of them", "none came")
    server.expect_idle("while there are more clients than descriptors")
    words = len(server.errors.bytes)
    story.check(words < 65536, "a few words about it in the log", f"it wrote {words} bytes")
    with story.summed_up("the first 20 of them closed"):
        for client in crowd[:20]:
            client.close()
    with story.summed_up("the last 10 read their echoes and left, one after the other"):
        for client in crowd[20:]:
            client.hear()
            client.finish()
    server.serves_a_new_client()


@pytest.mark.fault(26, happened="turned away with a line on stderr, the next one served")
@pytest.mark.promise("many_threads")
@pytest.mark.no_sanitizer("it needs more address space than this test allows")
def test_without_threads_a_client_is_turned_away_and_the_next_is_served(
        start_server: StartServer, story: Story) -> None:
    server = start_server("--quiet", shell="ulimit -v 100000")
    server.serves_a_new_client()
    turned_away, crowd = False, []
    with story.summed_up("clients came and stayed, each with a byte, until one was turned away"):
        while not turned_away and len(crowd) < 2000:
            crowd.append(server.client())
            turned_away = not crowd[-1].is_served()
    story.check(turned_away, "100 MB not to be enough for 2,000 threads", "they were")
    server.errors.expect_something()
    with story.summed_up(f"the {len(crowd)} clients left"):
        for client in crowd:
            client.close()
    server.expect_threads(at_most=1)
    server.serves_a_new_client()


@pytest.mark.promise("many_threads")
@pytest.mark.no_sanitizer("its library must be loaded first")
@pytest.mark.ours_only("the size of its stacks")
def test_a_library_with_much_thread_local_memory_does_not_overflow_a_stack(
        start_server: StartServer) -> None:
    """glibc takes thread-local memory from the stack of each thread."""
    big = library(Path(__file__).with_name("thread_local.c"))
    server = start_server(env={"LD_PRELOAD": str(big)})
    client = server.client()
    client.say(b"x" * 200_000)
    client.finish()


@pytest.mark.fault(24, happened="all are close-on-exec")
def test_no_descriptor_outlives_its_server_in_a_child(server: Server, story: Story) -> None:
    """A copy that a child still holds keeps a closed connection open, and in epoll's list."""
    server.client()
    client = server.client()
    client.send(b"good evening")
    left = proc.inherited_by_children(server.process.pid)
    story.check(not left, "every descriptor but 0, 1 and 2 to be close-on-exec",
                f"{len(left)} are not close-on-exec: {' and '.join(left)}")
