"""One message: the words on the screen, exactly."""

from __future__ import annotations

import os
import random

import pytest

from harness.peer import ClientProgram, Script, echo
from harness.server import Server
from harness.story import Story
from harness.visits import StartClient, StartPeer, byte_by_byte, late

pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]

LONG = "".join(random.Random(3).choices("Zwölf Boxkämpfer jagen Viktor quer ", k=90_000))


def expect_three_lines(client: ClientProgram, story: Story, message: bytes) -> None:
    client.expect_success()
    lines = (b"Successfully connected to server\n"
             b"Sending message: '" + message + b"'\n"
             b"Received echo from server: '" + message + b"'\n")
    story.check(client.out == lines, "these three lines on stdout, and nothing else",
                f"stdout is {client.out[:400]!r}")


def test_without_a_message_it_greets_tokio(
        server: Server, start_client: StartClient, story: Story) -> None:
    expect_three_lines(start_client(peer=server), story, b"Hello, Tokio!")


@pytest.mark.parametrize("message", [
    pytest.param(b"Hello", id="hello"),
    pytest.param(b"", id="empty"),
    pytest.param(b"two\nlines\tand a tab ", id="two-lines"),
    pytest.param("Grüße, 世界 🦀".encode(), id="utf-8"),
    pytest.param(b"\x01\x7f\x80\xfe\xff %n%s \\0 '\xc3", id="not-utf-8"),
    pytest.param(LONG.encode(), id="100-kB"),
])
def test_a_message_comes_back_as_it_was_sent(
        server: Server, start_client: StartClient, story: Story, message: bytes) -> None:
    expect_three_lines(start_client(os.fsdecode(message), peer=server), story, message)


@pytest.mark.parametrize("message", ["--port", "-x", "--"])
def test_after_two_dashes_everything_is_a_message(
        server: Server, start_client: StartClient, story: Story, message: str) -> None:
    expect_three_lines(start_client("--", message, peer=server), story, message.encode())


@pytest.mark.parametrize("script", [byte_by_byte, late])
def test_it_waits_for_the_whole_echo(
        start_peer: StartPeer, start_client: StartClient, story: Story, script: Script) -> None:
    message = LONG[:10_000]
    client = start_client(message, peer=start_peer(script))
    expect_three_lines(client, story, message.encode())


@pytest.mark.thorough
@pytest.mark.no_inject("two libraries that both want to come first")
@pytest.mark.parametrize("arguments", [["Hello"], ["-"], ["--guests", "20", "--rounds", "3"]],
                         ids=["message", "conversation", "crowd"])
def test_nothing_that_it_has_allocated_is_lost_at_its_end(
        start_peer: StartPeer, start_client: StartClient, arguments: list[str]) -> None:
    """LeakSanitizer ends a program with another exit status, and a report."""
    client = start_client(*arguments, peer=start_peer(echo), stdin=b"Hello", variant="address")
    client.expect_success()
