"""Many connections: none is lost, nothing is crossed, and nothing is left behind."""

from __future__ import annotations

import pytest

from harness.chapters import VARIANT
from harness.client import Crowd, converse, random_bytes
from harness.machine import THOROUGH, needs_backlog, needs_descriptors

IN_A_ROW = 100_000 if THOROUGH else 1000
WAVE = 500  # connect at once: fewer than the backlog holds
MOST_FOR_ONE = 1024  # bytes: "a small struct", "a task"
KIB = 1 << 10


@pytest.mark.promise("at_once")
def test_200_clients_speak_at_once_and_nothing_is_crossed(server):
    crowd = server.crowd(200)
    for turn in range(3):
        crowd.say_at_once([random_bytes(turn * 1000 + number, 1 + 37 * number)
                           for number in range(200)])
    crowd.finish()


@pytest.mark.parametrize("count", [
    pytest.param(16, marks=pytest.mark.fault(20)),
    pytest.param(200, marks=pytest.mark.fault(19)),
])
def test_clients_that_came_while_it_was_stopped_are_all_served(server, count):
    """They all arrive in one event: a server that accepts one an event loses the others."""
    needs_backlog(count)
    with server.paused():
        crowd = server.crowd(count, wait=False)
    crowd.send_each(b"hello")
    crowd.finish()


@pytest.mark.fault(29)
@pytest.mark.promise("at_once")
def test_a_crowd_is_served_rests_and_leaves_no_trace(start_server, chapter):
    """A shell often allows 1,024 descriptors only; a server may raise that by itself, up to
    the hard limit, and ours have to."""
    server = start_server(shell="" if chapter.is_foreign else "ulimit -Sn 256")
    server.serves_a_new_client()
    descriptors, threads = server.descriptors(), server.threads()
    crowd = server.crowd(chapter.crowd)
    crowd.say_at_once([b"client %d" % number for number in range(chapter.crowd)])
    server.expect_idle(f"while {chapter.crowd} clients say nothing")
    crowd.close()
    server.expect_descriptors(at_most=descriptors)
    server.expect_threads(at_most=threads)
    server.serves_a_new_client()


@pytest.mark.fault(28, happened="no trace")
def test_thousands_in_a_row_leave_no_trace(start_server, story):
    server = start_server("--quiet")
    server.allow_descriptors(20)
    with story.summed_up("100 clients came, one after the other, said a message and left"):
        for _ in range(100):
            server.serves_a_new_client()
    descriptors, threads, most = server.descriptors(), server.threads(), 32 * IN_A_ROW
    for _ in range(5):  # threads and heaps keep a little at first; a leak goes on and on
        memory = server.resident()
        with story.summed_up(f"another {IN_A_ROW} did the same"):
            for _ in range(IN_A_ROW):
                server.serves_a_new_client()
        if server.resident() - memory < most:
            break
    server.expect_descriptors(at_most=descriptors)
    server.expect_threads(at_most=threads)
    server.expect_resident(at_most=memory, room=most)


@pytest.mark.thorough
@pytest.mark.fault(29)
@pytest.mark.promise("thousands")
@pytest.mark.parametrize("count", [10_000, 19_000])
def test_thousands_that_say_nothing_cost_next_to_nothing(start_server, story, count):
    needs_descriptors(count + 500)
    server = start_server("--quiet")
    server.serves_a_new_client()
    descriptors, threads, memory = server.descriptors(), server.threads(), server.resident()
    crowd = Crowd()
    with story.summed_up(f"{count} clients came, {WAVE} at once, and each said a word"):
        for _ in range(0, count, WAVE):
            wave = server.crowd(WAVE)
            wave.say_at_once([b"word"] * WAVE)
            crowd += wave
    server.expect_idle(f"while {count} clients say nothing")
    server.expect_threads(at_most=threads)
    each = (server.resident() - memory) / count
    story.check(VARIANT != "plain" or each < MOST_FOR_ONE,
                f"less than {MOST_FOR_ONE} bytes of memory for each", f"it is {each:.0f}")
    server.serves_a_new_client()
    crowd.finish()
    server.expect_descriptors(at_most=descriptors)
    server.serves_a_new_client()


@pytest.mark.ours_only("about its threads")
@pytest.mark.promise("shares_memory")
@pytest.mark.fault(55, happened="no report")
@pytest.mark.no_sanitizer("ThreadSanitizer is a build of its own")
def test_clients_at_once_cause_no_data_race(start_server, story, chapter):
    """What ThreadSanitizer reports on stderr, start_server's end finds there."""
    server = start_server(*(["--workers", "4"] if chapter.runtime else []), variant="thread")
    crowd = server.crowd(50)
    for turn in range(3):
        crowd.say_at_once([random_bytes(turn * 100 + number, 20_000) for number in range(50)])
    with story.summed_up("every other client reset its connection"):
        for client in crowd[::2]:
            client.reset()
    Crowd(crowd[1::2]).finish()
    server.serves_a_new_client()


# ---- networks that are worse than this machine's own ---------------------------------------

@pytest.mark.parametrize("rules, mtu", [
    pytest.param({"ipv4/tcp_wmem": "4096 4096 4096"}, 0, marks=pytest.mark.fault(1),
                 id="send-buffers-of-4-KiB"),
    pytest.param({}, 600, marks=pytest.mark.fault(2), id="packets-of-600-bytes"),
])
def test_through_a_narrow_network_everything_comes_back(
        start_server, story, network, rules, mtu):
    """In a small send buffer a whole buffer never fits: every write is short, or has to wait."""
    story.tell(f"made a network with {rules or f'packets of {mtu} bytes'}")
    server = start_server(network=network(rules, mtu))
    for number in range(2):  # one when the other is gone: 01 serves one at a time
        client = server.client()
        story.tell(f"{client.name} sent 256 KiB, read meanwhile, and ended its sending side")
        converse([client], [random_bytes(number, 256 * KIB)], finish=True)
        client.expect_end()


@pytest.mark.thorough
@pytest.mark.fault(19)
@pytest.mark.promise("at_once")
def test_more_clients_than_the_backlog_holds_are_all_served(start_server, story, network):
    """Where there is no room in the backlog, the kernel tries again after a second."""
    story.tell("made a network in which 4 connections fit into a backlog (somaxconn)")
    server = start_server(network=network({"core/somaxconn": "4"}))
    with server.paused():
        crowd = server.crowd(20, wait=False)
    crowd.say_at_once([b"hello"] * 20)
    crowd.finish()
