"""What a runtime gives for nothing: --idle-timeout and --workers, in chapter 05."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import proc
from harness.machine import library
from harness.proc import PATIENCE
from harness.server import Server

pytestmark = [pytest.mark.promise("runtime"), pytest.mark.ours_only("options of chapter 05")]


# ---- --idle-timeout ------------------------------------------------------------------------

def test_a_silent_connection_is_closed_and_a_talker_stays(start_server, story):
    """What the silent one sends after the server's end must not cause a reset."""
    server = start_server("--idle-timeout", "1")
    descriptors = server.descriptors()
    silent, talker = server.crowd(2)
    silent.say(b"and now I fall asleep")
    with story.summed_up("the second one talked until the first one was closed"):
        while not silent.at_end:
            talker.say(b"never a dull moment")
            silent.take()
    talker.finish()
    silent.send(b"wait for me" * 1000)
    silent.half_close()
    silent.take()  # fails at a reset
    silent.close()
    server.expect_descriptors(at_most=descriptors)


def test_a_slow_reader_is_not_idle(start_server, story):
    """Its progress is in the other direction, where send() cannot see it."""
    server = start_server("--idle-timeout", "1")
    client = server.client(receive_buffer=16 * 1024)
    client.fill()
    with story.summed_up(f"{client.name} read a little every tenth of a second"):
        start = time.monotonic()
        while time.monotonic() - start < 1.6:
            client.take(8 * 1024)
            time.sleep(0.1)
    client.hear()


def test_a_client_that_never_reads_is_closed_at_last(start_server):
    server = start_server("--idle-timeout", "5", clock=10)
    descriptors = server.descriptors()
    server.client(receive_buffer=16 * 1024).fill()
    server.expect_descriptors(at_most=descriptors)


@pytest.mark.fault(59, happened="served")
def test_what_came_while_it_was_stopped_is_served_before_the_limit(start_server, story):
    server = start_server("--idle-timeout", "1")
    crowd = server.crowd(20)
    crowd.say_at_once([b"here"] * 20)
    with server.paused():
        crowd.send_each(b"is anybody there?")
        story.tell("1.5 seconds passed")
        time.sleep(1.5)
    with story.summed_up("each of the 20 got its echo"):
        for client in crowd:
            client.hear()


def test_a_client_that_never_ends_is_cut_at_last(start_server, story):
    server = start_server("--idle-timeout", "1", clock=10)
    descriptors = server.descriptors()
    client = server.client()
    client.expect_end(close=False)
    story.tell(f"{client.name} sent a byte again and again all the same")
    for _ in range(int(PATIENCE / 0.02)):
        if client.ready(0, within=0.02):  # an error: it has been cut
            break
        client.socket.send(b".")
    else:
        story.fail("the server to close for good", f"after {PATIENCE:g} s it has not")
    server.expect_descriptors(at_most=descriptors)
    server.serves_a_new_client()


@pytest.mark.no_sanitizer("its library must be loaded first")
def test_a_client_that_floods_after_our_end_is_cut_at_last(start_server, story):
    """There is always something to read, so the limit must not wait for a pause."""
    server = start_server("--idle-timeout", "1", env={
        "LD_PRELOAD": str(library(Path(__file__).with_name("flooded.c")))})
    descriptors = server.descriptors()
    client = server.client()
    client.expect_end(close=False)
    client.send(b"flood")
    story.tell("from now on each read of the server filled its buffer")
    server.expect_descriptors(at_most=descriptors)


def test_ctrl_c_comes_before_the_limit(start_server):
    server = start_server("--idle-timeout", "1000000000")
    client = server.client()
    client.say(b"all the time in the world")
    server.signal(signal.SIGINT)
    client.expect_end()
    server.expect_exit(0)


# ---- --workers -----------------------------------------------------------------------------

def _watched(server: Server) -> "Counter[str]":
    """How many descriptors each epoll instance of the process watches."""
    found: Counter[str] = Counter()
    home = Path(f"/proc/{server.process.pid}")
    for name in os.listdir(home / "fd"):
        if "[eventpoll]" in os.readlink(home / "fd" / name):
            found[name] = (home / "fdinfo" / name).read_text().count("tfd:")
    return found


def _expect_shares(server: Server, before: "Counter[str]", wanted: range) -> None:
    def shares() -> list[int]:
        gained = _watched(server)
        gained.subtract(before)
        return sorted(number for number in gained.values() if number > 0)

    even = proc.eventually(lambda: len(shares()) == 4 and all(s in wanted for s in shares()))
    server.story.check(even, f"{wanted[0]} to {wanted[-1]} connections at each of 4 workers",
                       f"their shares are {shares()}")


def test_each_worker_gets_its_share(start_server):
    server = start_server("--workers", "4")
    before = _watched(server)
    crowd = server.crowd(4)
    _expect_shares(server, before, range(1, 2))
    crowd += server.crowd(396)
    _expect_shares(server, before, range(98, 103))
    server.expect_idle("with 400 silent connections")
    crowd.say_at_once([bytes([number % 256]) * 50_000 for number in range(400)])
    crowd.finish()


def test_four_workers_serve_a_crowd_and_close_together(start_server, story):
    server = start_server("--workers", "4")
    story.check(proc.eventually(lambda: server.threads() >= 4), "four threads",
                f"there are {server.threads()}")
    crowd, stuck = server.crowd(200), server.client()
    crowd.say_at_once([b"client %d of 200" % number for number in range(200)])
    stuck.fill()
    server.signal(signal.SIGTERM)
    crowd.expect_end()
    stuck.expect_end()  # so they have not seen their end only because the time was up
    server.expect_exit(0)


@pytest.mark.no_sanitizer("its library must be loaded first")
def test_a_worker_that_computes_delays_no_newcomer_of_the_others(start_server):
    server = start_server("--workers", "4", env={
        "LD_PRELOAD": str(library(Path(__file__).with_name("thinking.c")))})
    server.client().send(b"think")
    for _ in range(3):
        server.client().say(b"I am in a hurry")
