"""Ctrl-C and SIGTERM. 01 and 02 die of it; from 03 on the host closes the door, serves those
who are in, says goodbye and goes home."""

from __future__ import annotations

import contextlib
import random
import select
import signal
import subprocess
import time
from typing import Iterator

import pytest

from support import facts, machine
from support.chapters import CHAPTERS, Chapter
from support.guests import PATIENCE, can_connect
from support.servers import Server, binary
from support.story import Story

ours = pytest.mark.ours_only("what Ctrl-C does")
clean = pytest.mark.promise("clean_goodbye")

SIGNALS = [signal.SIGINT, signal.SIGTERM]
MIB = 1 << 20
GRACE = 5.0  # seconds that guests have to finish, by the contract


@ours
@pytest.mark.fault(15, happened="ends at once, as the signal says")
@pytest.mark.promise("default_goodbye")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_the_server_at_once(server: Server, number: signal.Signals) -> None:
    server.guest()
    server.signal(number)
    server.expect_end(-number)


@clean
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_idle_guests_hear_goodbye_and_the_server_ends(
        server: Server, number: signal.Signals) -> None:
    crowd = server.crowd(3)
    crowd[0].say(b"and I spoke")
    server.signal(number)
    for guest in crowd:
        guest.expect_goodbye()
        guest.close()
    server.expect_end(0, within=GRACE)


@clean
@pytest.mark.parametrize("count", [1, 300])
def test_who_stands_at_the_door_is_still_served(
        server: Server, story: Story, count: int) -> None:
    """Everything below has happened when the server looks: it must look at the door before it
    closes it."""
    with server.paused():
        crowd = server.crowd(count)
        with story.summed_up("each sent a message"):
            for guest in crowd:
                guest.send(b"am I too late?")
        server.signal(signal.SIGTERM)
    with story.summed_up("each waited for his echo and the server's goodbye"):
        for guest in crowd:
            guest.expect_goodbye()
            guest.close()
    server.expect_end(0, within=GRACE)


@pytest.mark.fault(15, happened="served, then goodbye")
@clean
def test_what_is_on_its_way_comes_back(server: Server) -> None:
    guest = server.guest()
    guest.fill_the_pipes()
    server.signal(signal.SIGTERM)
    guest.finish()
    guest.expect_goodbye()
    guest.close()
    server.expect_end(0, within=GRACE)


@pytest.mark.fault(15, happened="served, then goodbye")
@clean
def test_a_transfer_goes_on_to_its_end(server: Server, story: Story) -> None:
    """The guest always sends more before he reads more, so that he never seems to be done."""
    guest = server.guest()
    guest.fill_the_pipes()
    server.signal(signal.SIGTERM)
    rest = random.Random(15).randbytes(MIB)  # on a busy machine, too, done within the grace
    story.tell(f"{guest.name} went on: 1 MiB more, reading as little as possible meanwhile")
    done = 0
    while done < len(rest):
        done += guest.give(rest[done : done + 65536])
        if not guest.ready(select.POLLOUT, 0):
            guest.take(65536)
    guest.finish()
    guest.expect_goodbye()
    guest.close()
    server.expect_end(0, within=GRACE)


@pytest.mark.fault(4, happened="served, then goodbye")
@clean
def test_a_guest_who_goes_on_talking_loses_no_echo_to_a_reset(
        server: Server, story: Story) -> None:
    """To close a socket with unread bytes in it is a reset, which destroys the echo that is
    still under way: the server must read to the guest's end."""
    guest = server.guest()
    guest.send(random.Random(4).randbytes(MIB))
    server.signal(signal.SIGTERM)
    _expect_closed_door(server)
    story.tell(f"{guest.name} said 12 bytes more, five times, and read nothing yet")
    for _ in range(5):
        guest.give(b"by the way..")
        time.sleep(0.02)
    guest.expect_goodbye(may_miss=5 * 12)
    guest.close()
    server.expect_end(0, within=GRACE)


@clean
def test_the_door_is_closed_while_the_last_guests_finish(server: Server, story: Story) -> None:
    guest = server.guest()
    guest.fill_the_pipes()
    server.signal(signal.SIGTERM)
    _expect_closed_door(server)
    story.check(not can_connect(server.address), "a newcomer to be refused", "he was let in")
    guest.finish()
    guest.expect_goodbye()
    guest.close()
    server.expect_end(0, within=GRACE)


@clean
def test_a_second_signal_ends_at_once(server: Server, story: Story) -> None:
    guest = server.guest()
    guest.fill_the_pipes()
    server.signal(signal.SIGTERM)
    _expect_closed_door(server)
    server.signal(signal.SIGTERM)
    try:
        server.ended = server.process.wait(GRACE - 2)
    except subprocess.TimeoutExpired:
        story.fail("the server to end at once", "it still waits for the guest")
    story.check(server.ended != 0, "an exit status that tells of the haste", "it is 0")


@ours
@pytest.mark.fault(17, happened="ends, each time")
def test_a_signal_in_the_first_milliseconds_always_ends_it(
        chapter: Chapter, story: Story) -> None:
    """Between a check for the signal and the sleep there must be no gap to lose it in."""
    path = binary(chapter, "server")
    dice = random.Random(17)
    for _ in range(200 if machine.THOROUGH else 20):
        delay = dice.uniform(0, 0.05)
        process = subprocess.Popen([path, "--port", "0"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            story.fail(f"SIGTERM {delay * 1000:.1f} ms after the start to end the server",
                       "the server runs on")
        finally:
            process.kill()
            process.wait()
        story.check(status in (0, -signal.SIGTERM), "exit status 0 or SIGTERM", f"it is {status}")


@ours
@clean
def test_guests_who_do_not_finish_are_cut_after_five_seconds(
        chapter: Chapter, endless_evenings: dict[Chapter, tuple[Server, float]]) -> None:
    """One never reads, the other never says goodbye; see endless_evenings."""
    server, seconds = endless_evenings[chapter]
    server.story.check(GRACE - 1 < seconds < GRACE + 3, "the end after about 5 seconds",
                       f"{seconds:.1f} seconds have passed")
    server.expect_end(0)
    server.expect_health()


@pytest.fixture(scope="session")
def endless_evenings(
        request: pytest.FixtureRequest) -> Iterator[dict[Chapter, tuple[Server, float]]]:
    """Each chapter's server, and how long it went on after the signal. All of them at the same
    time: five seconds of waiting, not five for each."""
    test = test_guests_who_do_not_finish_are_cut_after_five_seconds.__name__
    wanted = {item.callspec.params["chapter"] for item in request.session.items
              if getattr(item, "originalname", "") == test}
    with contextlib.ExitStack() as stack:
        servers: dict[Chapter, Server] = {}
        seconds: dict[Chapter, float] = {}
        for chapter in CHAPTERS:
            if chapter in wanted:
                server = Server(chapter, Story())
                stack.callback(server.stop)
                server.wait_until_ready()
                server.guest().fill_the_pipes()
                server.guest().say(b"I stay")
                servers[chapter] = server
        for server in servers.values():
            server.signal(signal.SIGTERM)
        start = time.monotonic()
        while len(seconds) < len(servers) and time.monotonic() - start < GRACE + 5:
            time.sleep(0.02)
            for chapter, server in servers.items():
                if chapter not in seconds and server.process.poll() is not None:
                    seconds[chapter] = time.monotonic() - start
        late = time.monotonic() - start
        yield {chapter: (servers[chapter], seconds.get(chapter, late)) for chapter in servers}


def _expect_closed_door(server: Server) -> None:
    closed = facts.eventually(lambda: not server.listens(), PATIENCE)
    server.story.check(closed, "the server to close its door", "it still listens")
    server.story.tell("the door closed")
