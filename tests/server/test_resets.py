"""A connection that ends with a reset must not harm any other."""

from __future__ import annotations

import re

import pytest

from harness.client import Client

RESET = re.compile(r"Failed to (read from|write to) socket; err = "
                   r"(Connection reset by peer|Broken pipe)")


def before_any_byte(client: Client) -> None:
    client.reset()


def with_its_request_unread(client: Client) -> None:
    client.send(b"x" * 20_000)
    client.reset()


def while_the_server_sends(client: Client) -> None:
    client.fill()
    client.reset()


def after_half_close_with_echo_pending(client: Client) -> None:
    client.fill()
    client.half_close()
    client.reset()


def after_a_full_echo(client: Client) -> None:
    client.say(b"thank you")
    client.reset()


@pytest.mark.fault(5)
@pytest.mark.parametrize("phase", [
    before_any_byte, with_its_request_unread,
    pytest.param(while_the_server_sends, marks=pytest.mark.fault(25)),
    after_half_close_with_echo_pending, after_a_full_echo,
], ids=lambda phase: phase.__name__)
def test_after_a_reset_the_next_client_is_served(server, phase):
    server.serves_a_new_client()
    before = server.descriptors()
    phase(server.client(receive_buffer=16 * 1024))
    if phase is while_the_server_sends:
        server.expect_idle("after the reset of a client that was stuck")
    server.serves_a_new_client()
    server.expect_descriptors(at_most=before)
    wrong = [line for line in server.errors.lines if not RESET.fullmatch(line)]
    server.story.check(server.chapter.is_foreign or not wrong,
                       "only lines about a reset on stderr", f"this stands there: {wrong}")


@pytest.mark.fault(6)
@pytest.mark.parametrize("end", [False, True], ids=["RST", "FIN-then-RST"])
def test_writing_to_a_connection_that_was_reset_does_not_kill(server, end):
    """It raises SIGPIPE, which kills by default. The server must have bytes to echo and
    nobody to echo them to: hence the pause."""
    server.serves_a_new_client()
    before = server.descriptors()
    client = server.client()
    client.say(b"warm")
    with server.paused():
        client.send(b"y" * 20_000)
        if end:
            client.half_close()
        client.reset()
    server.serves_a_new_client()
    server.expect_descriptors(at_most=before)  # then it has tried, and seen the error
