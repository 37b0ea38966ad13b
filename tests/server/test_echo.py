"""An echo is every byte, any byte, in order, and then the end (RFC 862)."""

from __future__ import annotations

import pytest

from harness.client import MIB, converse, random_bytes


def test_one_message_comes_back(server):
    client = server.client()
    client.say(b"Hello, Tokio!")
    client.finish()


@pytest.mark.fault(2)
def test_single_bytes_come_back(server, story):
    client = server.client()
    with story.summed_up(f"{client.name} said and then sent a text, byte by byte"):
        for byte in "a ✅ in three parts".encode():
            client.say(bytes([byte]))
        for byte in range(500):
            client.send(bytes([byte % 256]))
    client.finish()


@pytest.mark.fault(31)
@pytest.mark.parametrize("message", [
    pytest.param(bytes(range(256)) * 4, id="all-values"),
    pytest.param(b"before\0after\0\0end", id="NUL"),
    pytest.param(b"%n%n%s%s%d\r\n\x1b[31m", id="format"),
    pytest.param(b"".join(b"message %d\n" % number for number in range(10_000)),
                 id="ten-thousand-messages", marks=pytest.mark.fault(33)),
])
def test_any_bytes_come_back_unchanged(server, message):
    client = server.client()
    client.say(message)
    client.finish()


@pytest.mark.fault(20)
def test_messages_of_one_mebibyte_go_to_and_fro(server):
    client = server.client()
    for number in range(5):
        client.say(random_bytes(number, MIB))
    client.finish()


@pytest.mark.fault(34)
def test_64_mebibytes_stream_through(server, story):
    client = server.client()
    story.tell(f"{client.name} sent 64 MiB, read meanwhile, and ended its side at once")
    converse([client], [random_bytes(64, MIB + 1) * 64], finish=True)
    client.expect_end()


@pytest.mark.thorough
@pytest.mark.fault(34)
def test_a_gibibyte_streams_through_in_bounded_memory(server, story):
    client = server.client()
    block = random_bytes(34, 64 * MIB)
    client.say(block)
    before = server.resident()
    with story.summed_up(f"{client.name} said 64 MiB, fifteen times more"):
        for _ in range(15):
            client.say(block)
    server.expect_resident(at_most=before)
    client.finish()


urgent = pytest.mark.ours_only("urgent bytes in their place; RFC 862 does not speak of them")


@urgent
def test_an_urgent_byte_stays_in_its_place(server):
    """A read stops in front of it: a server that takes a short read for the last one hangs."""
    client = server.client()
    with server.paused():
        client.send(b"abc")
        client.send_urgent(b"D")
        client.send(b"efg")
    client.hear()
    client.say(b"and so on")
    client.finish()


@urgent
@pytest.mark.fault(61, happened="served")
def test_urgent_bytes_before_accept_stay_in_their_place(server):
    """The second urgent byte takes the first one's place, unless SO_OOBINLINE is set by then:
    on the listener, as accept() comes too late."""
    with server.paused():
        client = server.client()
        client.send_urgent(b"A")
        client.send_urgent(b"B")
        client.send(b"c")
    client.hear()
    client.finish()


@pytest.mark.fault(32, happened="no trace")
def test_500_clients_that_say_nothing_leave_no_trace(server, story):
    server.serves_a_new_client()
    before = server.descriptors()
    with story.summed_up("500 clients connected, sent nothing, and closed, ended or reset"):
        for number in range(500):
            client = server.client()
            (client.close, client.finish, client.reset)[number % 3]()
    server.serves_a_new_client()
    server.expect_descriptors(at_most=before)
    server.expect_no_zombies()
