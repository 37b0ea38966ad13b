"""What a runtime gives for nothing: --idle-timeout and --workers, in chapter 05."""

from __future__ import annotations

import signal
import socket

import pytest

from conftest import StartServer
from support import facts
from support.guests import PATIENCE
from support.story import Story

pytestmark = [pytest.mark.promise("runtime"), pytest.mark.ours_only("options of chapter 05")]

# ---- --idle-timeout --------------------------------------------------------------------------


def test_a_silent_guest_gets_his_echo_and_is_then_sent_home(start_server: StartServer) -> None:
    server = start_server("--idle-timeout", "1")
    guest = server.guest()
    guest.say(b"and now I fall asleep")
    guest.expect_goodbye()
    guest.close()
    server.serves_a_new_guest()


def test_who_goes_on_talking_stays_when_a_silent_one_is_sent_home(
        start_server: StartServer, story: Story) -> None:
    server = start_server("--idle-timeout", "3")
    silent, talker = server.crowd(2)
    with story.summed_up("the second one talked until the first one was sent home"):
        while not silent.at_end:
            talker.say(b"never a dull moment")
            silent.take()
    talker.leave()


def test_late_words_after_the_goodbye_do_not_end_in_a_reset(start_server: StartServer) -> None:
    server = start_server("--idle-timeout", "1")
    descriptors = server.descriptors()
    guest = server.guest()
    guest.expect_goodbye()
    guest.story.tell(f"{guest.name} sent 10,000 bytes all the same, and ended its sending side")
    guest.socket.setblocking(True)
    guest.socket.sendall(b"wait for me" * 1000)
    guest.socket.shutdown(socket.SHUT_WR)
    guest.story.check(guest.socket.recv(1) == b"", "a quiet end", "a byte came")
    guest.close()
    server.expect_descriptors(at_most=descriptors)


def test_who_goes_on_and_on_after_the_goodbye_is_cut(
        start_server: StartServer, story: Story) -> None:
    server = start_server("--idle-timeout", "1")
    descriptors = server.descriptors()
    guest = server.guest()
    guest.expect_goodbye()
    story.tell(f"{guest.name} sent a byte every half second all the same")
    for _ in range(int(2 * PATIENCE)):
        if guest.ready(0, within=0.5):  # an error: he has been cut
            break
        guest.socket.send(b".")
    else:
        story.fail("the server to close for good", f"after {PATIENCE:g} seconds he is still there")
    server.expect_descriptors(at_most=descriptors)
    server.serves_a_new_guest()


def test_ctrl_c_comes_before_the_time_is_up(start_server: StartServer) -> None:
    server = start_server("--idle-timeout", "1000000000")
    guest = server.guest()
    guest.say(b"I have all the time in the world")
    server.signal(signal.SIGINT)
    guest.expect_goodbye()
    guest.close()
    server.expect_end(0)

# ---- --workers -------------------------------------------------------------------------------


def test_four_workers_serve_a_crowd_and_close_together(
        start_server: StartServer, story: Story) -> None:
    server = start_server("--workers", "4")
    story.check(facts.eventually(lambda: server.threads() >= 4, PATIENCE),
                "four threads", f"there are {server.threads()}")
    crowd = server.crowd(200)
    crowd.say_at_once([b"guest %d of 200" % number for number in range(200)])
    server.signal(signal.SIGTERM)
    for guest in crowd:
        guest.expect_goodbye()
        guest.close()
    server.expect_end(0)


def test_four_workers_lose_no_byte_of_a_big_message(start_server: StartServer) -> None:
    server = start_server("--workers", "4")
    crowd = server.crowd(8)
    crowd.say_at_once([bytes([number]) * 1_000_000 for number in range(8)])
    crowd.leave()


def test_four_idle_workers_sleep(start_server: StartServer) -> None:
    server = start_server("--workers", "4")
    server.crowd(20)
    server.expect_calm("with 20 silent guests")
