"""No descriptors, no threads, no memory: the shortage passes, the server stays.

What becomes of each single call that fails is tried in tests/inject."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import inject
from harness import proc
from harness.client import MIB, Crowd, fill
from harness.machine import error_words, library
from harness.proc import PATIENCE
from harness.server import Server


@pytest.mark.fault(10, happened="waits, then served")
def test_without_descriptors_connections_wait_and_none_is_lost(server, story):
    server.allow_descriptors(10)
    crowd = server.crowd(30)
    with story.summed_up("each of them sent a message"):
        for number, client in enumerate(crowd):
            client.send(b"client %d of 30" % number)
    story.check(crowd[0].hears(PATIENCE), "an echo for the first of them", "none came")
    server.expect_idle("while there are more clients than descriptors")
    story.check(len(server.errors.text) < 4096, "a line about it on stderr, not a flood",
                f"it has written {len(server.errors.text)} bytes")
    Crowd(crowd[:20]).close()
    with story.summed_up("the last 10 read their echoes and finished, one after the other"):
        for client in crowd[20:]:
            client.hear()
            client.finish()
    server.serves_a_new_client()


@pytest.mark.ours_only("the line on stderr")
@pytest.mark.promise("at_once")
@pytest.mark.no_inject("an accept that reports EAGAIN ends it", "eagain")
def test_a_shortage_is_reported_when_it_begins_and_not_again_while_it_lasts(start_server, story):
    """Looks for four back-offs of 100 ms, until one look sees no line. (A thread that starts may
    hold a descriptor for a moment, in libc, so that one shortage begins twice.)"""
    server = start_server(shell="ulimit -n 16", clock=4)
    line = f"Failed to accept; err = {error_words(errno.EMFILE)}; trying again"
    for which in ("the shortage", "the next shortage"):
        before = len(server.errors.lines)
        crowd = server.crowd(30)
        begun = server.errors.wait_for(lambda text: len(text.splitlines()) > before)
        story.check(begun, f"'{line}' on stderr at {which}", "nothing came")
        server.expect_idle("while there are more clients than descriptors")
        quiet = any(_says_nothing_more(server) for _ in range(6))
        story.check(quiet and set(server.errors.lines) == {line},
                    f"no other line on stderr while {which} lasts",
                    f"what came is:\n{server.errors.text}")
        crowd.close()
        server.serves_a_new_client()
        server.expect_idle("when the backlog is empty again")


def _says_nothing_more(server: Server) -> bool:
    before = len(server.errors.lines)
    server.expect_idle("once more", seconds=0.4 / server.clock)
    return len(server.errors.lines) == before


# What is wrong, and the errors by which accept() reports it (accept(2), "Error handling").
ERRORS = {
    "the connection is gone": "ECONNABORTED EPROTO",
    "the network is down": "ENETDOWN EHOSTUNREACH ENETUNREACH",
    "a signal came": "EINTR EINTR",
    "a shortage": "ENFILE ENOBUFS ENOMEM",
}


@pytest.mark.fault(11, 12)
@pytest.mark.no_sanitizer("both want to be loaded first")
@pytest.mark.parametrize("errors", ERRORS.values(), ids=lambda names: names.split()[0])
def test_an_accept_that_fails_for_once_ends_nothing(start_server, story, errors):
    """A server that calls the kernel without libc, as those in Go do, does not notice."""
    rules = [f"{call}:{getattr(errno, name)}@{number}" for call in ("accept4", "accept")
             for number, name in enumerate(errors.split(), 1)]
    server = start_server(env=inject.environment(" ".join(rules)))
    with server.paused():
        crowd = server.crowd(5)
        crowd.send_each(b"hello")
    crowd.finish()
    server.serves_a_new_client()


@pytest.mark.fault(26, happened="turned away")
@pytest.mark.promise("many_threads")
@pytest.mark.no_sanitizer("it needs more address space than this test allows")
def test_without_threads_a_connection_is_turned_away_and_the_next_is_served(start_server, story):
    server = start_server(shell="ulimit -v 64000")
    server.serves_a_new_client()
    turned_away, crowd = False, Crowd()
    with story.summed_up("clients came and stayed, each with a byte, until one was turned away"):
        while not turned_away and len(crowd) < 2000:
            crowd.append(server.client())
            turned_away = not crowd[-1].is_served()
    story.check(turned_away, "64 MB not to be enough for 2,000 threads", "they were")
    server.errors.expect_something()
    crowd.close()
    server.expect_threads(at_most=1)
    server.serves_a_new_client()


@pytest.mark.promise("many_threads")
@pytest.mark.no_sanitizer("both want to be loaded first")
def test_a_library_with_much_memory_for_each_thread_overflows_no_stack(start_server):
    """glibc takes what libraries declare as thread-local from the stack of each thread."""
    source = Path(__file__).with_name("much.c")
    server = start_server(env={"LD_PRELOAD": str(library(source))})
    client = server.client()
    client.say(b"x" * 100_000)
    client.finish()
    server.serves_a_new_client()


@pytest.mark.fault(60, happened="given back")
@pytest.mark.promise("at_once")
@pytest.mark.ours_only("how little memory it keeps")
@pytest.mark.no_sanitizer("it keeps what was freed, on purpose")
def test_the_memory_of_a_stuck_crowd_goes_back_to_the_system(start_server, story, network):
    """With small send buffers a server has to keep nearly all that it has read."""
    server = start_server(network=network({"ipv4/tcp_wmem": "4096 4096 4096"}))
    server.serves_a_new_client()
    before = server.resident()
    crowd = server.crowd(300, receive_buffer=4096)
    with story.summed_up("each of the 300 sent until no more was taken, and read nothing"):
        fill(crowd)
    kept = server.resident() - before
    story.check(kept > 8 * MIB, "the server to keep megabytes of echoes",
                f"it keeps {kept >> 10} KiB: this proves nothing")
    crowd.close()
    server.expect_resident(before, room=2 * MIB)


@pytest.mark.fault(24, happened="close-on-exec")
def test_no_descriptor_outlives_its_server_in_a_child(server, story):
    """A copy that a child still holds keeps a closed connection open, and in epoll's list."""
    server.client()
    server.client().send(b"good evening")
    left = proc.inherited_by_children(server.process.pid)
    story.check(not left, "every descriptor but 0, 1 and 2 to be close-on-exec",
                f"{len(left)} are not: {' and '.join(left)}")


@pytest.mark.ours_only("the line on stderr")
@pytest.mark.no_sanitizer("both want to be loaded first")
def test_each_shortage_of_three_tries_is_reported_once(start_server, story):
    """The sixth accept() is in another shortage: whoever waits inside accept() has served the
    second client by then, and whoever accepts until EAGAIN has seen that."""
    rules = f"accept4:{errno.EMFILE}@1-3 accept4:{errno.EMFILE}@6-8 clock=4"
    server = start_server(env=inject.environment(rules))
    for _ in range(3):
        server.serves_a_new_client()
    line = f"Failed to accept; err = {error_words(errno.EMFILE)}; trying again"
    story.check(server.errors.lines == [line, line], f"'{line}' on stderr, twice",
                f"what came is:\n{server.errors.text}")
