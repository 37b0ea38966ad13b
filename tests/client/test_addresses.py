"""Where a client looks for a server: names, several addresses, IPv6, and itself."""

import contextlib

import pytest

import inject
from harness import machine
from harness.peer import echo
from harness.visits import MODES, full_backlog, in_every_mode

pytestmark = pytest.mark.of_clients
ours = pytest.mark.ours_only("where its client looks for a server")

FAST = 20  # the clock of this client: inject.c


@pytest.mark.fault(46)
@pytest.mark.fault(69, happened="10 s in all")
@ours
def test_the_addresses_of_a_name_are_tried_and_share_ten_seconds(start_peer, start_client, story):
    """Nobody listens at the first eight. Fifty do not answer: ten seconds for each would be
    more than eight minutes."""
    peer = start_peer(echo)
    dead = [f"127.0.1.{number}" for number in range(50)]
    addresses = ",".join([f"127.0.0.{number}" for number in range(2, 10)] + dead + ["127.0.0.1"])
    with contextlib.ExitStack() as last:
        for host in dead:
            last.enter_context(full_backlog(host, peer.port))
        clients = [mode.start(start_client, "--host", "many.test", peer=peer,
                              env=inject.environment(f"names={addresses} clock={FAST}"))
                   for mode in MODES]
        for client in clients:
            client.expect_success()
            story.check(client.lasted() * FAST < 300, "an end after ten seconds of its clock, or "
                        "somewhat later on a busy machine", "it took much longer")


@pytest.mark.fault(46)
@pytest.mark.parametrize("host", ["localhost", "::1"])
@ours
def test_a_host_by_name_or_number(start_server, start_client, host):
    machine.needs_address(host)
    start_client("--host", host, peer=start_server("--host", host)).expect_success()


@pytest.mark.fault(46, happened="unknown: exit 1")
@ours
def test_an_unknown_name_is_reported(start_client):
    start_client("--host", "no-such-host.invalid").expect_failure("no-such-host.invalid")


# ---- in a network of its own ---------------------------------------------------------------

@in_every_mode
@pytest.mark.fault(48, happened="exit 1")
def test_a_client_does_not_take_itself_for_a_server(network, start_client, story, mode):
    """Where nobody listens, the kernel may give the client that very port: once in 28,000
    connections, or every time where it has one port to give."""
    alone = network({"ipv4/ip_local_port_range": "40001 40001"})
    client = mode.start(start_client, "--port", 40001, enter=alone.enter)
    story.check(client.wait() != 0, "an exit status above 0, and words on stderr",
                "it has talked to itself: exit status 0")
    client.expect_failure("client: connect 127.0.0.1:40001: Connection refused")


@pytest.mark.fault(46)
@ours
def test_a_link_local_address_keeps_its_scope(network, start_client):
    """Nobody listens there: refused is what an address with its scope is; without: invalid."""
    inside = network(address="fe80::1").enter
    for mode in MODES:
        client = mode.start(start_client, "--host", "fe80::1%lo", "--port", 9, enter=inside)
        client.expect_failure("client: connect [fe80::1%lo]:9: Connection refused")
