"""`./client --guests N --rounds R`: many connections, and an honest report."""

from __future__ import annotations

from errno import EMFILE

import pytest

from harness import proc
from harness.machine import error_words
from harness.peer import CHUNK, Conversation, echo
from harness.visits import alters

pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]


@pytest.mark.parametrize("arguments, counts", [
    (["--guests", "500", "--rounds", "2"], "500 guests, 1000 echoes, 0 errors"),
    (["--guests", "1"], "1 guest, 1 echo, 0 errors"),
    (["--rounds", "4"], "1 guest, 4 echoes, 0 errors"),
    (["--guests", "2", "x" * 100_000], "2 guests, 2 echoes, 0 errors"),
    (["--guests", "2", "--rounds", "3", ""], "2 guests, 6 echoes, 0 errors"),
], ids=["many", "one", "rounds-alone", "100-kB-each", "empty-message"])
def test_a_crowd_is_reported_in_one_line(server, start_client, story, arguments, counts):
    client = start_client(*arguments, peer=server)
    client.expect_success()
    client.expect_report(counts)
    story.check(client.out.count(b"\n") == 1, "nothing else on stdout", f"there is {client.out!r}")


def test_all_connect_at_once(start_client, start_peer):
    def together(conversation: Conversation) -> None:
        """answers nobody until 50 connections are there"""
        conversation.peer.wait_for_connections(50)
        echo(conversation)

    client = start_client("--guests", 50, "--rounds", 2, peer=start_peer(together))
    client.expect_success()
    client.expect_report("50 guests, 100 echoes, 0 errors")


def test_what_was_right_is_counted_even_for_a_connection_that_met_an_error(
        start_client, start_peer, story):
    """The third byte of everybody's second message is altered."""
    offset = len("guest 1, round 1: Hello, Tokio!") + 2
    client = start_client("--guests", 5, "--rounds", 3, peer=start_peer(alters(offset)))
    line = client.expect_failure(f"wrong byte at offset {offset}: sent 0x65, received 0xe5")
    story.check(line.startswith("client: guest "), "the guest's number", f"it is: {line}")
    client.expect_report("5 guests, 5 echoes, 5 errors")


@pytest.mark.no_inject("whose message is in pieces", "cut")
def test_the_echo_of_another_connection_is_noticed(start_client, start_peer):
    said: list[bytes] = []

    def crossed(conversation: Conversation) -> None:
        """sends to everybody what the first one has sent"""
        data = conversation.socket.recv(CHUNK)
        said.append(data)
        conversation.send(said[0][:len(data)])
        echo(conversation)

    client = start_client("--guests", 3, peer=start_peer(crossed))
    client.expect_failure(f"wrong byte at offset {len('guest ')}")
    client.expect_report("3 guests, 1 echo, 2 errors")


def test_with_too_few_descriptors_it_reports_what_it_could_do(start_client, start_peer, story):
    client = start_client("--guests", 50, peer=start_peer(echo), shell="ulimit -n 16")
    client.expect_failure(error_words(EMFILE))
    found = client.expect_report(r"50 guests, (\d+) echoes, (\d+) errors")
    echoes, errors = int(found[1]), int(found[2])
    story.check(echoes + errors == 50 and echoes > 5, "each of the 50 counted, with an echo or "
                "with an error", f"{echoes} echoes and {errors} errors are reported")


def test_descriptors_above_1024_are_as_good_as_any(start_peer, start_client):
    """The crowd is a tool, the same in every chapter: it does not use select()."""
    start_client("--guests", 50, peer=start_peer(echo),
                 prefix=proc.holding([], 1024)).expect_success()


@pytest.mark.promise("below_fd_setsize")
@pytest.mark.fault(18, happened="turned away")
def test_a_descriptor_that_select_cannot_watch_is_refused(start_peer, start_client):
    client = start_client("-", peer=start_peer(echo), prefix=proc.holding([], 1024))
    client.expect_failure("client: select takes descriptors below 1024")


@pytest.mark.thorough
@pytest.mark.promise("thousands")
@pytest.mark.fault(29)
def test_nineteen_thousand(server, start_client):
    client = start_client("--guests", 19_000, peer=server)
    client.expect_success()
    client.expect_report("19000 guests, 19000 echoes, 0 errors")
