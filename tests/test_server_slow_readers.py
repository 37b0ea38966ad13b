"""Guests who send and do not read. The server must stop reading from them: what it has read
and cannot send it would have to keep."""

from __future__ import annotations

import random
import select
import statistics
import threading
import time

import pytest

from support.chapters import Chapter
from support.guests import PATIENCE, Guest, converse, fill_the_pipes
from support.servers import Server
from support.story import Story

MIB = 1 << 20
FAIR = 16 * MIB  # what may be on its way in all buffers, and some turns more
GLIMPSE = 0.5  # seconds: long enough to say "he waits" where that is what we expect


@pytest.mark.fault(8, happened="stops reading from them")
@pytest.mark.no_sanitizer("its allocator keeps memory on purpose")
def test_memory_stays_bounded_when_nobody_reads(server: Server, story: Story) -> None:
    server.serves_a_new_guest()
    before = server.memory()
    crowd = server.crowd(8, receive_buffer=16 * 1024)
    sent = fill_the_pipes(crowd, limit=32 * MIB, quiet=0.3)
    story.tell(f"the 8 sent {sent // MIB} MiB in all and read nothing")
    growth = server.memory() - before
    story.check(growth < 24 * MIB, "the server to stop reading when it cannot write",
                f"its memory grew by {growth // MIB} MiB: it keeps whatever comes")


def test_a_guest_who_never_reads_costs_no_cpu(server: Server) -> None:
    server.guest(receive_buffer=16 * 1024).fill_the_pipes()
    server.expect_calm("while a guest reads nothing")


@pytest.mark.fault(9)
@pytest.mark.wall("01-blocking", "its only thread sleeps in the write to the first guest")
def test_a_guest_who_never_reads_holds_up_nobody(
        server: Server, story: Story, chapter: Chapter) -> None:
    server.guest(receive_buffer=16 * 1024).fill_the_pipes(quiet=0.3)
    other = server.guest()
    other.send(b"I read my echoes")
    story.check_wall(other.hears_echo(PATIENCE if chapter.at_once else GLIMPSE),
                     f"an echo for {other.name}, whatever others do", "it hears nothing")
    other.read_echo()
    other.leave()


@pytest.mark.fault(9)
def test_who_waited_for_a_slow_reader_is_served_when_he_reads_again(
        server: Server, story: Story, chapter: Chapter) -> None:
    slow = server.guest(receive_buffer=16 * 1024)
    slow.fill_the_pipes()
    other = server.guest()
    other.send(b"I can wait")
    slow.read_echo()
    slow.leave()
    other.read_echo()
    other.leave()
    story.outcome("served" if chapter.at_once else "waited, then served")


@pytest.mark.fault(7, happened="stuck, then served")
def test_who_would_write_64_mebibytes_before_he_reads_is_stuck_and_loses_nothing(
        server: Server, story: Story) -> None:
    """Less than 7 MiB would prove nothing: so much fits into the kernel's buffers."""
    guest = server.guest()
    taken = guest.fill_the_pipes()
    story.check(taken < 64 * MIB, "the server to stop reading at some time",
                "it took everything, and has to keep it")
    story.tell(f"{guest.name} sent 8 MiB more, but read now, and ended its sending side")
    converse([guest], [random.Random(7).randbytes(8 * MIB)], finish=True)
    guest.expect_goodbye()


@pytest.mark.fault(30)
@pytest.mark.promise("at_once")
def test_two_hundred_slow_talkers_hold_up_nobody(server: Server, story: Story) -> None:
    talkers = server.crowd(200)
    message = b"slowly..."
    for byte in message:
        with story.summed_up("each of the 200 sent one more byte, another guest a message"):
            for talker in talkers:
                talker.send(bytes([byte]))
            server.serves_a_new_guest()
            time.sleep(0.02)
    talkers.leave()


@pytest.mark.fault(21)
@pytest.mark.promise("at_once")
def test_a_guest_who_floods_holds_up_nobody(server: Server, story: Story) -> None:
    """Judged by counts, not by time: how much of the flood is echoed while the ten wait."""
    flooder = server.guest()
    crowd = server.crowd(10)
    enough = threading.Event()
    story.tell(f"{flooder.name} sends and reads as fast as it can, all the time")
    flood = threading.Thread(target=_flood, args=(flooder, enough), daemon=True)
    flood.start()
    waits = []
    try:
        with story.summed_up("beside it ten guests said a message each, fifty times"):
            for number in range(50):
                before = flooder.received
                crowd.say_at_once([b"ping %d of %d" % (number, i) for i in range(10)])
                waits.append(flooder.received - before)
    finally:
        enough.set()
        flood.join(PATIENCE)
    wait = statistics.median(waits)
    story.check(wait < FAIR, f"ten echoes for less than {FAIR // MIB} MiB of the flood's",
                f"the server echoed {wait / MIB:.1f} MiB of the flood for them")


def _flood(flooder: Guest, enough: threading.Event) -> None:
    block = b"flood" * 13_000
    while not enough.is_set():
        flooder.ready(select.POLLIN | select.POLLOUT, 0.1)
        flooder.give(block)
        flooder.take()
