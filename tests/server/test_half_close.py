"""A client that has ended its sending side still reads: all it sent comes back first."""

from __future__ import annotations

import pytest

from harness.client import random_bytes

pytestmark = pytest.mark.fault(3)


def test_a_client_that_reads_only_after_its_last_byte_gets_everything(server):
    client = server.client(receive_buffer=64 * 1024)
    client.fill()
    client.half_close()
    client.expect_end()


@pytest.mark.fault(1)
def test_a_client_that_reads_slowly_gets_everything(server):
    client = server.client(receive_buffer=16 * 1024)
    client.send(random_bytes(5, 400_000))
    client.half_close()
    client.expect_end(pause=0.001)


def test_data_and_end_in_one_burst_are_echoed_then_closed(server):
    client = server.client()
    client.say(b"warm")
    with server.paused():
        client.send(random_bytes(7, 60_000))
        client.half_close()
    client.expect_end()


def test_a_whole_conversation_before_the_server_looks_is_served(server):
    with server.paused():
        client = server.client()
        client.send(b"connected, sent, ended")
        client.half_close()
    client.expect_end()
