"""Ctrl-C and SIGTERM. 01 and 02 die of them. From 03 on the server accepts what waits, closes
its listener, echoes what has been sent, ends each connection in order, and exits with 0."""

from __future__ import annotations

import select
import signal
import subprocess
import time

import pytest

from harness import proc
from harness.chapters import Chapter, program
from harness.client import MIB, random_bytes
from harness.machine import THOROUGH, needs_backlog
from harness.proc import PATIENCE

ours = pytest.mark.ours_only("what Ctrl-C does")
clean = pytest.mark.promise("clean_end")
each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM],
                                      ids=lambda number: number.name)
served = pytest.mark.fault(15, happened="ends in order")
nobody_waits = pytest.mark.no_inject("an accept that reports EAGAIN says so", "eagain")
by_the_megabyte = pytest.mark.no_inject("megabytes, byte by byte", "cut")
LIMIT = 5.0  # seconds of running time after which connections are cut, by the contract


@ours
@pytest.mark.fault(15, happened="ends at once")
@pytest.mark.promise("default_end")
@each_signal
def test_a_signal_ends_the_server_at_once(server, number):
    server.client()
    server.signal(number)
    server.expect_exit(-number)


@clean
def test_idle_clients_see_an_orderly_end(server):
    """Before the server has come to its limit: a stuck client, which reads after them, still
    gets all."""
    stuck, *idle = server.crowd(4)
    idle[0].say(b"and I spoke")
    stuck.fill()
    server.signal(signal.SIGTERM)
    for client in idle:
        client.expect_end()
    stuck.expect_end()
    server.expect_exit(0)


@clean
@pytest.mark.fault(58, happened="all of it echoed")
@nobody_waits
@by_the_megabyte
@pytest.mark.parametrize("count", [1, 300])
def test_what_was_sent_before_the_signal_comes_back(server, story, count):
    """All of it has happened when the server looks: connections wait in the backlog, bytes in
    the sockets, and then there is the signal."""
    needs_backlog(count)
    early = server.client()
    with server.paused():
        early.send(random_bytes(0, 20_000))
        crowd = server.crowd(count)
        crowd.send_each(random_bytes(1, 20_000))
        server.signal(signal.SIGTERM)
    early.expect_end()
    crowd.expect_end()
    server.expect_exit(0)


@clean
@served
def test_a_transfer_goes_on_to_its_end(server, story):
    """The client always sends more before it reads more, so that it never seems to be done."""
    client = server.client()
    client.fill()
    server.signal(signal.SIGINT)
    rest = random_bytes(15, MIB)  # on a busy machine, too, done within the limit
    story.tell(f"{client.name} went on: 1 MiB more, reading as little as possible meanwhile")
    done = 0
    while done < len(rest):
        done += client.give(rest[done : done + 65536])
        if not client.ready(select.POLLOUT, 0):
            client.take(65536)
    client.half_close()
    client.expect_end()
    server.expect_exit(0)


@clean
@pytest.mark.fault(66, happened="all of it echoed")
@pytest.mark.fault(67, happened="taken as one")
def test_a_client_stuck_at_the_signal_gets_everything_when_it_reads(server, story):
    """The signal is delivered twice, as timeout(1), npm and others do it: to the process, and
    to its group. Twice at once would be one for the kernel, too; so the second comes when the
    server has seen the first."""
    client = server.client()
    client.fill()
    first = time.monotonic()
    server.signal(signal.SIGTERM)
    server.expect_closed_listener()
    if time.monotonic() - first < 0.4:  # else, on a busy machine, it would be a second one
        server.signal(signal.SIGTERM)
    story.tell("then nothing happened for some ticks of the server's closing time")
    time.sleep(1.5 if THOROUGH else 0.4)
    client.expect_end()
    server.expect_exit(0)
    story.check(server.chapter.is_foreign or not server.errors.text, "nothing on stderr",
                f"there is: {server.errors.text}")


@clean
def test_a_second_signal_ends_it_at_once(start_server, story):
    """Unless it follows the first within half a second."""
    server = start_server(clock=2)
    server.client().fill()
    server.signal(signal.SIGTERM)
    server.expect_closed_listener()
    time.sleep(0.7 / server.clock)
    server.signal(signal.SIGTERM)
    story.check(server.wait() != 0, "an exit status that shows the haste", "it is 0")


@clean
@nobody_waits
@by_the_megabyte
@pytest.mark.fault(4, happened="ends in order")
def test_a_client_that_goes_on_talking_loses_no_echo_to_a_reset(server, story):
    """To close a socket with unread bytes in it is a reset, which destroys the echo that is
    still under way: the server must read to the client's end."""
    client = server.client()
    client.send(random_bytes(4, MIB))
    server.signal(signal.SIGTERM)
    server.expect_closed_listener()
    story.tell(f"{client.name} sent 12 bytes more, five times, and read nothing yet")
    for _ in range(5):
        client.give(b"by the way..")
        time.sleep(0.02)
    client.expect_end(may_miss=5 * 12)
    server.expect_exit(0)


@ours
@pytest.mark.fault(17, happened="ends")
def test_a_signal_in_the_first_milliseconds_always_ends_it(chapter, story):
    """Between a check for the signal and the sleep there must be no gap to lose it in."""
    command = [str(program(chapter, "server")), "--port", "0"]
    for ms in range(0, 50, 1 if THOROUGH else 4):
        process = proc.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(ms / 1000)
            process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            story.fail(f"SIGTERM {ms} ms after the start to end the server", "it runs on")
        finally:
            proc.end(process)
        story.check(status in (0, -signal.SIGTERM), "exit status 0 or SIGTERM", f"it is {status}")


@pytest.mark.fault(43)
def test_a_restart_on_the_same_port_works_at_once(start_server):
    """The old connection lingers in TIME_WAIT on the server's side, as the server ended it."""
    first = start_server()
    client = first.client()
    client.say(b"good evening")
    first.signal(signal.SIGKILL)
    first.expect_exit(-signal.SIGKILL)
    client.expect_end()
    start_server(port=first.port).serves_a_new_client()


# ---- signals that the parent has blocked or ignored -----------------------------------------

def _end_of(chapter: Chapter, number: signal.Signals) -> int:
    return 0 if chapter.clean_end else -number


@ours
@pytest.mark.fault(63, happened="ends")
@each_signal
def test_a_signal_that_the_parent_had_blocked_works(start_server, chapter, story, number):
    story.tell(f"blocked {number.name}, which a child inherits")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        server = start_server()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    server.serves_a_new_client()
    server.signal(number)
    server.expect_exit(_end_of(chapter, number))


@ours
@pytest.mark.fault(70, happened="stays ignored")
def test_a_signal_that_was_ignored_at_start_stays_ignored(start_server, chapter):
    """As a script does it with `./server &`: Ctrl-C is meant for the script's next command."""
    server = start_server(shell="trap '' INT")
    client = server.client()
    for _ in range(2):
        server.signal(signal.SIGINT)
        client.say(b"and I go on")
    client.finish()
    server.serves_a_new_client()
    server.signal(signal.SIGTERM)
    server.expect_exit(_end_of(chapter, signal.SIGTERM))


@ours
@clean
@pytest.mark.fault(59, happened="served")
def test_connections_are_cut_after_five_seconds_of_running_time(start_server, story):
    """Of two servers one runs into its limit. The other is stopped (SIGSTOP) all that time."""
    limited, stopped = (start_server(clock=5) for _ in range(2))
    client = stopped.client(receive_buffer=16 * 1024)
    client.fill()
    stopped.signal(signal.SIGTERM)
    stopped.expect_closed_listener()
    with stopped.paused():
        limited.client(receive_buffer=16 * 1024).fill()
        limited.client().say(b"I stay")
        limited.signal(signal.SIGTERM)
        began = time.monotonic()
        limited.expect_exit(0)
        seconds = (time.monotonic() - began) * limited.clock
        story.check(seconds > LIMIT - 1, "the end after about 5 seconds",
                    f"it came after {seconds:.1f} seconds")
    client.expect_end()
    stopped.expect_exit(0)
