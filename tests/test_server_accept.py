"""accept() can fail in twenty ways, and none of them is the end: strace makes it fail on demand.

    strace -f -e trace=accept,accept4 -e inject=accept,accept4:error=ENFILE:when=3..6 ./server
"""

from __future__ import annotations

import os

import pytest

from conftest import StartServer
from support import machine
from support.servers import Server
from support.story import Story

GUESTS = 12

pytestmark = pytest.mark.no_sanitizer("a process that is traced cannot look for its leaks")


def _server_whose_accept_fails(start_server: StartServer, error: str) -> Server:
    """Its third to sixth accept: some of them with a guest at the door, some without. -D: the
    server is our child and strace is not, so that what we watch is the server."""
    machine.needs_strace()
    return start_server(before=["strace", "-D", "-f", "-qq", "-o", os.devnull,
                                "-e", "trace=accept,accept4",
                                "-e", f"inject=accept,accept4:error={error}:when=3..6"])


def _come_and_go(server: Server, story: Story) -> None:
    with story.summed_up(f"{GUESTS} guests came one after the other, and each was served"):
        for _ in range(GUESTS):
            server.serves_a_new_guest()


@pytest.mark.fault(11, happened="waited, then served")
@pytest.mark.parametrize("error", ["ENFILE", "ENOBUFS", "ENOMEM"])
def test_a_shortage_at_the_door_passes(
        start_server: StartServer, story: Story, error: str) -> None:
    server = _server_whose_accept_fails(start_server, error)
    _come_and_go(server, story)
    server.expect_calm(f"after four times {error}")


@pytest.mark.fault(12)
@pytest.mark.parametrize("error", ["ECONNABORTED", "EPROTO", "ENETDOWN", "EHOSTUNREACH"])
def test_a_guest_who_is_gone_before_he_is_in_is_not_missed(
        start_server: StartServer, story: Story, error: str) -> None:
    _come_and_go(_server_whose_accept_fails(start_server, error), story)
