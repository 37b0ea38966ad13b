"""Who has ended his sending side still listens: everything he sent comes back first."""

from __future__ import annotations

import random

import pytest

from support.servers import Server
from support.story import Story


@pytest.mark.fault(3)
def test_a_guest_who_reads_only_after_the_last_byte_gets_everything(server: Server) -> None:
    guest = server.guest(receive_buffer=64 * 1024)
    guest.fill_the_pipes()
    guest.finish()
    guest.expect_goodbye()


@pytest.mark.fault(1, 3)
def test_a_guest_who_reads_slowly_gets_everything(server: Server) -> None:
    guest = server.guest(receive_buffer=16 * 1024)
    guest.send(random.Random(5).randbytes(400_000))
    guest.finish()
    guest.expect_goodbye(pause=0.001)


@pytest.mark.fault(3)
def test_data_and_goodbye_in_one_burst_are_echoed_then_closed(server: Server) -> None:
    guest = server.guest()
    guest.say(b"warm")
    with server.paused():
        guest.send(random.Random(7).randbytes(60_000))
        guest.finish()
    guest.expect_goodbye()


@pytest.mark.fault(3)
def test_a_whole_visit_before_the_server_looks_is_served(server: Server) -> None:
    with server.paused():
        guest = server.guest()
        guest.send(b"I came, I spoke, I left")
        guest.finish()
    guest.expect_goodbye()


@pytest.mark.fault(3)
def test_many_end_their_sending_side_at_once(server: Server, story: Story) -> None:
    crowd = server.crowd(20)
    with story.summed_up("each of the 20 sent 10,000 bytes and ended its sending side"):
        for number, guest in enumerate(crowd):
            guest.send(random.Random(number).randbytes(10_000))
            guest.finish()
    with story.summed_up("the 20 read to the end, one after the other"):
        for guest in crowd:
            guest.expect_goodbye()
            guest.close()
