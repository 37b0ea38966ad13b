"""The words of the contract, and a log that must never get into anybody's way."""

from __future__ import annotations

import fcntl
import os
from typing import Iterator

import pytest

from conftest import StartServer
from support import machine
from support.servers import Server
from support.story import Story

ours = pytest.mark.ours_only("the words of its log")
VISITS = 3000 if machine.THOROUGH else 1200


@ours
def test_the_log_tells_of_the_door_and_of_each_guest_at_once(server: Server) -> None:
    """At once: stdout is a pipe here, where a forgotten fflush() keeps everything back."""
    server.expect_line(f"✅ Server listening on 127.0.0.1:{server.port}")
    guest = server.guest()
    name = guest.own_address
    server.expect_line(f"New connection from: {name}")
    guest.say(b"good evening")
    guest.leave()
    server.expect_line(f"Connection closed by {name}")


@ours
def test_the_log_holds_nothing_else(server: Server, story: Story) -> None:
    for _ in range(2):
        guest = server.guest()
        name = guest.own_address
        guest.say(b"good evening")
        guest.leave()
        server.expect_line(f"Connection closed by {name}")
    text = server.stdout.text
    story.check(len(text.splitlines()) == 5 and not server.stderr.text,
                "five lines on stdout and none on stderr", f"stdout is:\n{text}")


@ours
def test_quiet_leaves_out_the_guests(start_server: StartServer, story: Story) -> None:
    server = start_server("--quiet")
    server.serves_a_new_guest()
    server.serves_a_new_guest()
    text = server.stdout.text
    story.check(text == f"✅ Server listening on 127.0.0.1:{server.port}\n",
                "the listening line and nothing else", f"stdout is:\n{text}")


@pytest.mark.fault(50)
def test_a_log_that_nobody_reads_stops_nobody(
        start_server: StartServer, story: Story, full_pipe: int) -> None:
    story.tell("filled a pipe to the brim, and made it the server's stdout and stderr")
    server = start_server(stdout=full_pipe, stderr=full_pipe)
    with story.summed_up("100 guests came in turn and left, 100 others reset their connection"):
        for _ in range(100):
            server.serves_a_new_guest()
            guest = server.guest()
            guest.say(b"bye")
            guest.reset()
    server.crowd(100).leave()


@pytest.mark.fault(50)
def test_a_log_that_fills_up_stops_nobody(
        start_server: StartServer, story: Story, unread_pipe: int) -> None:
    """A pipe takes 64 KiB, some 700 guests long; the ones after them have no log."""
    server = start_server(stdout=unread_pipe, stderr=unread_pipe)
    with story.summed_up(f"{VISITS} guests came in turn and left"):
        for _ in range(VISITS):
            server.guest().leave()
    server.serves_a_new_guest()


@pytest.mark.fault(50)
@pytest.mark.parametrize("log", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", ">/dev/full 2>&1"])
def test_a_log_that_cannot_be_written_stops_nobody(
        start_server: StartServer, story: Story, log: str) -> None:
    """With stdout closed the first socket could become descriptor 1: then a guest would be
    sent the log. More than his echo must not come."""
    server = start_server(shell=log)
    crowd = server.crowd(3)
    crowd[0].say(b"good evening")
    crowd[0].reset()
    for guest in crowd[1:]:
        guest.say(b"good night")
        guest.leave()
    server.serves_a_new_guest()


@pytest.fixture
def unread_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    yield writer
    os.close(writer)
    os.close(reader)


@pytest.fixture
def full_pipe(unread_pipe: int) -> int:
    writer = unread_pipe
    fcntl.fcntl(writer, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b".")
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    return writer
