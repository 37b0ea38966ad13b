"""An echo is every byte, any byte, in order, and then the goodbye (RFC 862)."""

from __future__ import annotations

import random
import socket

import pytest

from support import machine
from support.guests import converse
from support.servers import Server
from support.story import Story

MIB = 1 << 20


def test_one_message_comes_back(server: Server) -> None:
    guest = server.guest()
    guest.say(b"Hello, Tokio!")
    guest.leave()


@pytest.mark.fault(2)
def test_byte_by_byte_each_comes_back(server: Server, story: Story) -> None:
    guest = server.guest()
    text = b"one byte at a time"
    with story.summed_up(f"{guest.name} said {len(text)} bytes, each alone, each echo awaited"):
        for byte in text:
            guest.say(bytes([byte]))
    with story.summed_up(f"{guest.name} sent 500 bytes, each alone, without waiting"):
        for byte in range(500):
            guest.send(bytes([byte % 256]))
    guest.leave()


@pytest.mark.fault(31)
@pytest.mark.parametrize("message", [
    pytest.param(bytes(range(256)) * 4, id="all-values"),
    pytest.param(b"before\0after\0\0end", id="NUL"),
    pytest.param(b"%n%n%s%s%d\r\n\x1b[31m", id="format"),
], ids=str)
def test_any_bytes_come_back_unchanged(server: Server, message: bytes) -> None:
    guest = server.guest()
    guest.say(message)
    guest.leave()


@pytest.mark.ours_only("urgent bytes in their place; RFC 862 does not speak of them")
def test_an_urgent_byte_holds_up_nothing(server: Server, story: Story) -> None:
    """A read stops before it: who takes a short read for the last one waits for ever."""
    guest = server.guest()
    with server.paused():
        guest.send(b"abc")
        story.tell(f"{guest.name} sent 'D' as urgent (MSG_OOB)")
        guest.socket.send(b"D", socket.MSG_OOB)
        guest.owed += b"D"
        guest.send(b"efg")
    guest.read_echo()
    guest.say(b"and so on")
    guest.leave()


@pytest.mark.fault(2, 31)
def test_a_character_cut_in_two_comes_back_whole(server: Server) -> None:
    guest = server.guest()
    first, second = "✅".encode()[:1], "✅".encode()[1:]
    guest.say(first)
    guest.say(second)
    guest.leave()


@pytest.mark.fault(33)
def test_ten_thousand_messages_in_one_send_keep_their_order(server: Server) -> None:
    guest = server.guest()
    guest.say(b"".join(b"message %d\n" % number for number in range(10_000)))
    guest.leave()


@pytest.mark.fault(20)
def test_messages_of_one_mebibyte_go_to_and_fro(server: Server) -> None:
    guest = server.guest()
    for number in range(5):
        guest.say(random.Random(number).randbytes(MIB))
    guest.leave()


@pytest.mark.fault(34)
def test_64_mebibytes_stream_through(server: Server, story: Story) -> None:
    guest = server.guest()
    story.tell(f"{guest.name} sent 64 MiB and read meanwhile, its FIN right behind the last byte")
    converse([guest], [random.Random(64).randbytes(MIB + 1) * 64], finish=True)
    guest.expect_goodbye()


@machine.thorough
@pytest.mark.fault(34)
def test_a_gibibyte_streams_through_in_bounded_memory(server: Server, story: Story) -> None:
    guest = server.guest()
    block = random.Random(34).randbytes(64 * MIB)
    guest.say(block)
    before = server.memory()
    with story.summed_up(f"{guest.name} sent 64 MiB, fifteen times more, and read meanwhile"):
        for _ in range(15):
            guest.say(block)
    server.expect_memory(at_most=before)
    guest.leave()


@pytest.mark.fault(32, happened="no trace")
def test_five_hundred_guests_who_say_nothing_leave_no_trace(server: Server, story: Story) -> None:
    server.serves_a_new_guest()
    before = server.descriptors()
    with story.summed_up("500 guests connected and said nothing: close, FIN, RST in turn"):
        for number in range(500):
            guest = server.guest()
            if number % 3 == 0:
                guest.close()
            elif number % 3 == 1:
                guest.leave()
            else:
                guest.reset()
    server.serves_a_new_guest()
    server.expect_descriptors(at_most=before)
    server.expect_no_zombies()
