"""A guest who goes without a word (RST) must not take anybody along."""

from __future__ import annotations

from typing import Callable

import pytest

from support.guests import Guest
from support.servers import Server


def before_any_byte(guest: Guest) -> None:
    guest.reset()


def with_its_request_unread(guest: Guest) -> None:
    guest.send(b"x" * 20_000)
    guest.reset()


def while_the_server_sends(guest: Guest) -> None:
    guest.fill_the_pipes()
    guest.reset()


def after_half_close_with_echo_pending(guest: Guest) -> None:
    guest.fill_the_pipes()
    guest.finish()
    guest.reset()


def after_a_full_echo(guest: Guest) -> None:
    guest.say(b"thank you")
    guest.reset()


@pytest.mark.fault(5)
@pytest.mark.parametrize("phase", [
    before_any_byte,
    with_its_request_unread,
    while_the_server_sends,
    after_half_close_with_echo_pending,
    after_a_full_echo,
], ids=lambda phase: phase.__name__)
def test_a_guest_that_resets_leaves_the_next_one_served(
        server: Server, phase: Callable[[Guest], None]) -> None:
    server.serves_a_new_guest()
    before = server.descriptors()
    for _ in range(2):
        phase(server.guest(receive_buffer=16 * 1024))
        server.serves_a_new_guest()
    server.expect_descriptors(at_most=before)


@pytest.mark.fault(6)
@pytest.mark.parametrize("goodbye", [False, True], ids=["RST", "FIN-then-RST"])
def test_writing_to_a_guest_that_is_gone_does_not_kill(server: Server, goodbye: bool) -> None:
    """A write to a connection that was reset raises SIGPIPE, which kills by default. The
    server must have bytes to echo and nobody to echo them to: hence the pause."""
    server.serves_a_new_guest()
    before = server.descriptors()
    guest = server.guest()
    guest.say(b"warm")
    with server.paused():
        guest.send(b"y" * 20_000)
        if goodbye:
            guest.finish()
        guest.reset()
    server.serves_a_new_guest()
    server.expect_descriptors(at_most=before)  # then it has tried, and seen the error


@pytest.mark.fault(25)
def test_the_reset_of_a_stalled_guest_does_not_make_the_server_spin(server: Server) -> None:
    server.serves_a_new_guest()
    before = server.descriptors()
    guest = server.guest(receive_buffer=16 * 1024)
    guest.fill_the_pipes(quiet=0.3)
    guest.reset()
    server.expect_calm("after the reset of a guest that had stalled")
    server.serves_a_new_guest()
    server.expect_descriptors(at_most=before)


@pytest.mark.ours_only("the words of its log")
def test_a_reset_is_told_on_stderr(server: Server) -> None:
    guest = server.guest()
    guest.say(b"good evening")
    guest.reset()
    server.expect_line("Failed to read from socket; err = Connection reset by peer", "stderr")
