"""A server that is gone, wrong, too short or too long: one clear line, exit 1, never a hang."""

from __future__ import annotations

from typing import Callable

import pytest

from support import facts
from support.chapters import Chapter
from support.story import Story
from support_clients.clients import Client, StartClient
from support_clients.visits import CROWD, MESSAGE, Visiting, in_every_way
from support_clients.wrong_servers import (Manners, StartPythonServer, altered, closes_at_once,
                                           crossed, echo, long, long_after_goodbye, resets,
                                           says_goodbye_at_once, short, speaks_first)

pytest_plugins = "support_clients.fixtures"
pytestmark = pytest.mark.of_clients


def _visit(start_client: StartClient, visiting: Visiting, port: int) -> Client:
    return start_client("--port", port, *visiting.arguments, stdin=visiting.stdin)


def _expect_fault(client: Client, visiting: Visiting, story: Story, *words: str) -> None:
    line = client.expect_failure(*words)
    story.check("no progress" not in line, "a fault that is seen at once",
                f"it waited for its patience to end: {line}")
    if visiting.is_crowd:
        guests, _, errors = client.expect_report()
        story.check(guests == visiting.guests and errors > 0,
                    f"{visiting.guests} guests and some errors in the report",
                    f"it reports {guests} guests and {errors} errors")


@in_every_way
def test_no_server_at_all(start_client: StartClient, chapter: Chapter, story: Story,
                          visiting: Visiting) -> None:
    port = facts.free_port()
    client = _visit(start_client, visiting, port)
    line = client.expect_failure()
    words = f"client: connect 127.0.0.1:{port}: Connection refused"
    story.check(chapter.is_foreign or line == words, f"no more than the line '{words}'",
                f"it is: {line}")


@in_every_way
@pytest.mark.parametrize("manners", [closes_at_once, says_goodbye_at_once])
def test_a_server_that_does_not_listen(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        manners: Manners, visiting: Visiting) -> None:
    server = start_python_server(manners)
    _expect_fault(_visit(start_client, visiting, server.port), visiting, story, "0")


@in_every_way
def test_an_echo_that_is_too_short(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        visiting: Visiting) -> None:
    server = start_python_server(short(visiting.middle))
    client = _visit(start_client, visiting, server.port)
    _expect_fault(client, visiting, story, f"after {visiting.middle} of")


@pytest.mark.ours_only("the words of its client")
def test_an_echo_that_is_too_short_is_held_against_the_whole_message(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story) -> None:
    """The message, not the piece of it that was under way."""
    server = start_python_server(short(MESSAGE.middle))
    client = _visit(start_client, MESSAGE, server.port)
    _expect_fault(client, MESSAGE, story, f"after {MESSAGE.middle} of {MESSAGE.length} bytes")


@in_every_way
@pytest.mark.parametrize("manners", [long, lambda count: long_after_goodbye],
                         ids=["at-once", "after-our-goodbye"])
def test_an_echo_that_is_too_long(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        manners: Callable[[int], Manners], visiting: Visiting) -> None:
    server = start_python_server(manners(visiting.length))
    client = _visit(start_client, visiting, server.port)
    _expect_fault(client, visiting, story, f"offset {visiting.length}")


@in_every_way
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_an_altered_byte(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        where: str, visiting: Visiting) -> None:
    offset = {"first": 0, "middle": visiting.middle, "last": visiting.length - 1}[where]
    server = start_python_server(altered(offset))
    client = _visit(start_client, visiting, server.port)
    _expect_fault(client, visiting, story, f"offset {offset}")


@pytest.mark.ours_only("its crowds")
def test_the_echo_of_another_guest(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story) -> None:
    server = start_python_server(crossed())
    client = _visit(start_client, CROWD, server.port)
    _expect_fault(client, CROWD, story, f"offset {len('guest ')}")
    _, _, errors = client.expect_report()
    story.check(errors == CROWD.guests - 1, "an error for everybody but the first to speak",
                f"it reports {errors}")


@in_every_way
def test_a_connection_that_is_reset(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        visiting: Visiting) -> None:
    server = start_python_server(resets(visiting.middle))
    _expect_fault(_visit(start_client, visiting, server.port), visiting, story, "bytes of echo")


@in_every_way
def test_a_server_that_speaks_first(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        visiting: Visiting) -> None:
    server = start_python_server(speaks_first)
    client = _visit(start_client, visiting, server.port)
    _expect_fault(client, visiting, story, "offset 0")


@in_every_way
def test_a_stdout_that_is_full_is_told(
        start_client: StartClient, start_python_server: StartPythonServer,
        visiting: Visiting) -> None:
    """Not the server's fault, but as wrong: a copy with bytes missing must not look like one."""
    server = start_python_server(echo)
    client = start_client("--port", server.port, *visiting.arguments, stdin=visiting.stdin,
                          shell="exec >/dev/full")
    client.expect_failure("stdout", "No space left on device")
