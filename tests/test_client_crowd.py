"""`./client --guests N --rounds R`: a crowd, and an honest report."""

from __future__ import annotations

import os
import re
from typing import Iterator

import pytest

from support.chapters import Chapter
from support.servers import Server
from support.story import Story
from support_clients.clients import Client, StartClient
from support_clients.wrong_servers import StartPythonServer, altered, echo, together

pytest_plugins = "support_clients.fixtures"
pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]


def test_a_crowd_is_reported_in_one_line(
        server: Server, start_client: StartClient, story: Story) -> None:
    client = start_client("--port", server.port, "--guests", 50, "--rounds", 10)
    client.expect_success()
    out = client.out.decode()
    story.check(re.fullmatch(r"50 guests, 500 echoes, 0 errors, \d+\.\d\d s\n", out) is not None,
                "'50 guests, 500 echoes, 0 errors, T s' and nothing else on stdout",
                f"stdout is {out!r}")


@pytest.mark.promise("at_once")
def test_five_hundred_guests(server: Server, start_client: StartClient, story: Story) -> None:
    client = start_client("--port", server.port, "--guests", 500, "--rounds", 2)
    client.expect_success()
    _expect_counts(client, story, 500, 1000, 0)


@pytest.mark.parametrize("arguments, guests, echoes", [
    pytest.param(["--guests", "3"], 3, 3, id="guests-alone"),
    pytest.param(["--rounds", "4"], 1, 4, id="rounds-alone"),
    pytest.param(["--guests", "2", "x" * 100_000], 2, 2, id="100-kB-each"),
    pytest.param(["--guests", "2", "--rounds", "3", ""], 2, 6, id="empty-message"),
])
def test_a_crowd_of_another_kind(server: Server, start_client: StartClient, story: Story,
                                 arguments: list[str], guests: int, echoes: int) -> None:
    client = start_client("--port", server.port, *arguments)
    client.expect_success()
    _expect_counts(client, story, guests, echoes, 0)


@pytest.mark.promise("at_once")
def test_all_come_at_once(start_client: StartClient, start_python_server: StartPythonServer,
                          story: Story) -> None:
    server = start_python_server(together(50))
    client = start_client("--port", server.port, "--guests", 50, "--rounds", 2)
    client.expect_success()
    _expect_counts(client, story, 50, 100, 0)


@pytest.mark.promise("one_at_a_time")
def test_one_comes_after_the_other(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story) -> None:
    server = start_python_server(echo)
    client = start_client("--port", server.port, "--guests", 50, "--rounds", 2)
    client.expect_success()
    _expect_counts(client, story, 50, 100, 0)
    story.check(server.guests == 50 and server.most_inside == 1,
                "50 guests, and never two at once",
                f"{server.guests} came, up to {server.most_inside} at once")


def test_what_was_right_is_counted_even_for_a_guest_who_met_an_error(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story) -> None:
    """The third byte of everybody's second message is altered."""
    message = len("guest 1, round 1: Hello, Tokio!")
    server = start_python_server(altered(message + 2))
    client = start_client("--port", server.port, "--guests", 5, "--rounds", 3)
    client.expect_failure(f"offset {message + 2}")
    _expect_counts(client, story, 5, 5, 5)


def test_with_too_few_descriptors_it_reports_what_it_could_do(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story) -> None:
    server = start_python_server(echo)
    client = start_client("--port", server.port, "--guests", 50, shell="ulimit -n 16")
    client.wait()
    guests, echoes, errors = client.expect_report()
    story.check(guests == 50 and echoes + errors == 50 and echoes > 0,
                "each of the 50 counted, with an echo or with an error",
                f"{echoes} echoes and {errors} errors are reported")
    if errors:
        client.expect_failure("Too many open files")


def test_descriptors_that_select_cannot_watch(
        server: Server, chapter: Chapter, start_client: StartClient, story: Story,
        all_low_descriptors: list[int]) -> None:
    """So many inherited ones leave select room for a few guests; nobody else minds."""
    story.tell("opened every descriptor up to 1004, for the client to inherit")
    client = start_client("--port", server.port, "--guests", 200, pass_fds=all_low_descriptors)
    if not chapter.below_fd_setsize:
        client.expect_success()
        return _expect_counts(client, story, 200, 200, 0)
    client.expect_failure("select watches descriptors below 1024 only")
    _, echoes, errors = client.expect_report()
    story.check(echoes > 0 and errors > 0 and echoes + errors == 200,
                "some guests with an echo, the others with an error",
                f"{echoes} echoes and {errors} errors are reported")


def _expect_counts(client: Client, story: Story, *wanted: int) -> None:
    reported = client.expect_report()
    story.check(reported == wanted, "{} guests, {} echoes, {} errors".format(*wanted),
                "it reports {}, {} and {}".format(*reported))


@pytest.fixture
def all_low_descriptors() -> Iterator[list[int]]:
    """All but the few that these tests use themselves, and that no client inherits."""
    descriptors = [os.open("/dev/null", os.O_RDONLY)]
    while descriptors[-1] < 1004:
        descriptors.append(os.open("/dev/null", os.O_RDONLY))
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)
