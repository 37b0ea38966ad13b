"""Clients that send and do not read. The server must stop reading from them: what it has read
and cannot send it would have to keep."""

from __future__ import annotations

import selectors
import statistics
import threading
import time
from typing import Sequence

import pytest

from harness.client import MIB, Client, converse, fill, random_bytes
from harness.machine import needs_strace
from harness.proc import PATIENCE

FAIR = 16 * MIB  # what may be on its way in all buffers, and some rounds more
SMALL = 16 * 1024


@pytest.mark.fault(8, happened="stops reading")
@pytest.mark.no_sanitizer("its allocator keeps memory on purpose")
def test_memory_stays_bounded_when_nobody_reads(server, story):
    server.serves_a_new_client()
    before = server.resident()
    sent = fill(server.crowd(8, receive_buffer=SMALL), limit=32 * MIB)
    story.tell(f"the 8 sent {sent // MIB} MiB in all and read nothing")
    growth = server.resident() - before
    story.check(growth < 24 * MIB, "the server to stop reading when it cannot write",
                f"its memory grew by {growth // MIB} MiB: it keeps whatever comes")


@pytest.mark.fault(1)
def test_a_send_that_is_cut_short_by_a_stop_loses_nothing(server):
    """As Ctrl-Z and fg do it: a send() that sleeps returns what it has sent so far."""
    client = server.client(receive_buffer=SMALL)
    client.fill()
    with server.paused():
        pass
    client.hear()
    client.finish()


@pytest.mark.promise("event_loop")
@pytest.mark.ours_only("the calls that it makes")
@pytest.mark.no_sanitizer("a process that is traced cannot look for its leaks")
def test_a_stuck_connection_causes_no_wasted_calls(start_server, story, tmp_path):
    """Whatever else happens on the connection: a send before there is room is for nothing."""
    needs_strace()
    calls = tmp_path / "calls"
    server = start_server(prefix=["strace", "-D", "-f", "-qq", "-e", "trace=sendto",
                                  "-e", "signal=none", "-o", str(calls)])
    stuck, other = server.client(receive_buffer=SMALL), server.client()
    stuck.fill()
    with story.summed_up("the other client spoke 50 times, and the stuck one sent what it could"):
        for number in range(50):
            other.say(b"%d" % number)
            stuck.give(b"more")
    in_vain = calls.read_text().count("EAGAIN")
    story.check(in_vain <= 5, "one send that finds no room, and then none until there is",
                f"{in_vain} sends found no room")


@pytest.mark.fault(9)
@pytest.mark.wall("01-blocking", "its only thread sleeps in the write to the first client")
def test_a_client_that_never_reads_holds_up_nobody(server, story):
    stuck = server.client(receive_buffer=SMALL)
    stuck.fill()
    server.expect_idle("while a client reads nothing")
    stuck.fill()  # TCP may have paused for a moment, with room left on the way
    other = server.client()
    other.send(b"I read my echoes")
    story.check_wall(server.answers_at_once(other),
                     f"an echo for {other.name}, whatever others do", "it hears nothing")
    other.hear()
    other.finish()


@pytest.mark.fault(9)
def test_a_slow_reader_that_reads_again_frees_those_behind_it(server, story, chapter):
    slow = server.client(receive_buffer=SMALL)
    slow.fill()
    other = server.client()
    other.send(b"I can wait")
    slow.hear()
    slow.finish()
    other.hear()
    other.finish()
    story.outcome("served" if chapter.at_once else "waits, then served")


@pytest.mark.fault(7, happened="stuck, then served")
def test_a_client_that_writes_before_it_reads_is_stuck_and_loses_nothing(server, story):
    """Less than 7 MiB would prove nothing: so much fits into the kernel's buffers."""
    client = server.client()
    taken = client.fill()
    story.check(taken < 64 * MIB, "the server to stop reading at some time",
                "it took everything, and has to keep it")
    story.tell(f"{client.name} sent 8 MiB more, read now, and ended its sending side")
    converse([client], [random_bytes(7, 8 * MIB)], finish=True)
    client.expect_end()


@pytest.mark.fault(30)
@pytest.mark.promise("at_once")
def test_200_slow_talkers_hold_up_nobody(server, story):
    talkers = server.crowd(200)
    for byte in b"slowly...":
        talkers.send_each(bytes([byte]))
        server.serves_a_new_client()
    talkers.finish()


# ---- floods: judged by counts, not by time ------------------------------------------------

by_the_megabyte = pytest.mark.no_inject("megabytes, byte by byte", "cut")


@by_the_megabyte
@pytest.mark.fault(21)
@pytest.mark.promise("at_once")
def test_a_flood_holds_up_nobody(server, story):
    flooder, enough = server.client(), threading.Event()
    crowd = server.crowd(10)
    story.tell(f"{flooder.name} sends and reads as fast as it can, all the time")
    flood = threading.Thread(target=_flood, args=([flooder], enough.is_set), daemon=True)
    flood.start()
    waits = []
    try:
        with story.summed_up("beside it ten clients said a message each, fifty times"):
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


@by_the_megabyte
@pytest.mark.fault(21)
@pytest.mark.promise("at_once")
def test_of_several_floods_none_starves(server, story):
    floods = [server.client() for _ in range(4)]
    deadline = time.monotonic() + PATIENCE
    story.tell("all four send and read as fast as they can, until each has had 4 MiB")
    _flood(floods, lambda: all(flood.received >= 4 * MIB for flood in floods)
           or max(flood.received for flood in floods) > 128 * MIB
           or time.monotonic() > deadline)
    shares = [flood.received // MIB for flood in floods]
    story.check(min(shares) >= 4, "a share for each of the four floods",
                f"their shares are {shares} MiB")


def _flood(clients: Sequence[Client], enough: object) -> None:
    block = random_bytes(21, 64 * 1024)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        while not enough():  # type: ignore[operator]
            for key, events in selector.select(0.1):
                if events & selectors.EVENT_WRITE and len(key.data.owed) < 4 * MIB:
                    key.data.give(block)
                if events & selectors.EVENT_READ:
                    key.data.take()
