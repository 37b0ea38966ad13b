"""`./client --guests N --rounds R`: many connections, and an honest report."""

from __future__ import annotations

import os
import re
from errno import EMFILE
from typing import Iterator

import pytest

from harness.machine import error_words
from harness.peer import ClientProgram, echo
from harness.server import Server
from harness.story import Story
from harness.visits import StartClient, StartPeer, altered, crossed, together

pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]


def expect_counts(client: ClientProgram, story: Story, guests: int, echoes: int,
                  errors: int = 0) -> None:
    if not errors:
        client.expect_success()
    reported = client.expect_report()
    story.check(reported == (guests, echoes, errors),
                f"{guests} guests, {echoes} echoes, {errors} errors", f"it reports {reported}")


@pytest.mark.parametrize("arguments, words", [
    (["--guests", "50", "--rounds", "10"], "50 guests, 500 echoes, 0 errors"),
    (["--guests", "1"], "1 guest, 1 echo, 0 errors"),
], ids=["many", "one"])
def test_a_crowd_is_reported_in_one_line(
        server: Server, start_client: StartClient, story: Story, arguments: list[str],
        words: str) -> None:
    client = start_client(*arguments, peer=server)
    client.expect_success()
    story.check(re.fullmatch(rf"{words}, \d+\.\d\d s\n", client.out.decode()),
                f"'{words}, T s' and nothing else on stdout", f"stdout is {client.out!r}")


@pytest.mark.promise("at_once")
def test_five_hundred_guests(server: Server, start_client: StartClient, story: Story) -> None:
    client = start_client("--guests", 500, "--rounds", 2, peer=server)
    expect_counts(client, story, 500, 1000)


@pytest.mark.parametrize("arguments, guests, echoes", [
    pytest.param(["--guests", "3"], 3, 3, id="guests-alone"),
    pytest.param(["--rounds", "4"], 1, 4, id="rounds-alone"),
    pytest.param(["--guests", "2", "x" * 100_000], 2, 2, id="100-kB-each"),
    pytest.param(["--guests", "2", "--rounds", "3", ""], 2, 6, id="empty-message"),
])
def test_a_crowd_of_another_kind(
        server: Server, start_client: StartClient, story: Story, arguments: list[str],
        guests: int, echoes: int) -> None:
    expect_counts(start_client(*arguments, peer=server), story, guests, echoes)


def test_all_connect_at_once(start_client: StartClient, start_peer: StartPeer,
                             story: Story) -> None:
    client = start_client("--guests", 50, "--rounds", 2, peer=start_peer(together(50)))
    expect_counts(client, story, 50, 100)


def test_what_was_right_is_counted_even_for_a_connection_that_met_an_error(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    """The third byte of everybody's second message is altered."""
    first = len("guest 1, round 1: Hello, Tokio!")
    client = start_client("--guests", 5, "--rounds", 3, peer=start_peer(altered(first + 2)))
    line = client.expect_failure(
        f"wrong byte at offset {first + 2}: sent 0x65, received 0xe5")
    story.check(re.match("client: guest [1-5]: wrong", line), "the guest's number", line)
    expect_counts(client, story, 5, 5, 5)


@pytest.mark.no_inject("whose message is in pieces", "cut")
def test_the_echo_of_another_connection_is_noticed(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    client = start_client("--guests", 3, peer=start_peer(crossed()))
    client.expect_failure(f"wrong byte at offset {len('guest ')}")
    expect_counts(client, story, 3, 1, 2)


def test_with_too_few_descriptors_it_reports_what_it_could_do(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    client = start_client("--guests", 50, peer=start_peer(echo), shell="ulimit -n 16")
    client.expect_failure(error_words(EMFILE))
    guests, echoes, errors = client.expect_report()
    story.check(guests == 50 and echoes + errors == 50 and echoes > 5,
                "each of the 50 counted, with an echo or with an error",
                f"{echoes} echoes and {errors} errors are reported")


@pytest.fixture
def low_descriptors() -> Iterator[range]:
    """All below 1024, for a client to inherit."""
    found = [os.dup(0)]
    while found[-1] < 1024:
        found.append(os.dup(0))
    yield range(3, 1024)
    for descriptor in found:
        os.close(descriptor)


def test_descriptors_above_1024_are_as_good_as_any(
        start_peer: StartPeer, start_client: StartClient, story: Story,
        low_descriptors: range) -> None:
    """The crowd is a tool, the same in every chapter: it does not use select()."""
    client = start_client("--guests", 50, peer=start_peer(echo), pass_fds=low_descriptors)
    expect_counts(client, story, 50, 50)


@pytest.mark.promise("below_fd_setsize")
@pytest.mark.fault(18, happened="turned away")
def test_a_descriptor_that_select_cannot_watch_is_refused(
        start_peer: StartPeer, start_client: StartClient, low_descriptors: range) -> None:
    client = start_client("-", peer=start_peer(echo), pass_fds=low_descriptors)
    client.expect_failure("client: select takes descriptors below 1024")


@pytest.mark.thorough
@pytest.mark.promise("thousands")
@pytest.mark.fault(29)
def test_nineteen_thousand(server: Server, start_client: StartClient, story: Story) -> None:
    expect_counts(start_client("--guests", 19_000, peer=server), story, 19_000, 19_000)
