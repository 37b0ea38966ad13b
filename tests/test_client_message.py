"""One guest says one message: the words on the screen, exactly."""

from __future__ import annotations

import os
import random

import pytest

from support.chapters import Chapter
from support.servers import Server
from support.story import Story
from support_clients.clients import Client, StartClient
from support_clients.wrong_servers import StartPythonServer, in_pieces, late

pytest_plugins = "support_clients.fixtures"
pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]

LONG = "".join(random.Random(3).choices("Zwölf Boxkämpfer jagen Viktor quer ", k=90_000))


def test_without_a_message_it_greets_tokio(
        server: Server, start_client: StartClient, story: Story) -> None:
    client = start_client("--port", server.port)
    _expect_words(client, story, b"Hello, Tokio!")


@pytest.mark.parametrize("message", [
    pytest.param(b"Hello", id="hello"),
    pytest.param(b"", id="empty"),
    pytest.param(b"two\nlines\tand a tab ", id="two-lines"),
    pytest.param("Grüße, 世界 🦀".encode(), id="utf-8"),
    pytest.param(b"\x01\x7f\x80\xfe\xff %n%s \\0 '\xc3", id="not-utf-8"),
    pytest.param(LONG.encode(), id="100-kB"),
])
def test_a_message_comes_back_as_it_was_said(
        server: Server, start_client: StartClient, story: Story, message: bytes) -> None:
    client = start_client("--port", server.port, os.fsdecode(message))
    _expect_words(client, story, message)


@pytest.mark.parametrize("message", [b"--port", b"-x", b"--"])
def test_after_two_dashes_everything_is_a_message(
        server: Server, start_client: StartClient, story: Story, message: bytes) -> None:
    client = start_client("--port", server.port, "--", os.fsdecode(message))
    _expect_words(client, story, message)


@pytest.mark.parametrize("manners", [in_pieces, late], ids=["in-pieces", "late"])
def test_it_waits_for_the_whole_echo(chapter: Chapter, start_client: StartClient, story: Story,
                                     start_python_server: StartPythonServer,
                                     manners: object) -> None:
    server = start_python_server(manners)  # type: ignore[arg-type]
    message = LONG[:10_000]
    client = start_client("--port", server.port, message)
    _expect_words(client, story, message.encode())


def _expect_words(client: Client, story: Story, message: bytes) -> None:
    client.expect_success()
    words = (b"Successfully connected to server\n"
             b"Sending message: '" + message + b"'\n"
             b"Received echo from server: '" + message + b"'\n")
    story.check(client.out == words, "the three lines of one message, and nothing else, on stdout",
                f"stdout is {client.out[:400]!r}")
