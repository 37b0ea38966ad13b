"""Networks that are worse than this machine's own: small buffers, small packets, a short queue."""

from __future__ import annotations

import contextlib
import random
import selectors
from typing import Callable, Iterator

import pytest

from conftest import StartServer
from support.guests import PATIENCE, Crowd, converse
from support.networks import Network
from support.servers import Server
from support.story import Story

KIB = 1 << 10
StartNetwork = Callable[..., Network]


@pytest.fixture
def network() -> Iterator[StartNetwork]:
    """network({"core/somaxconn": "4"}, mtu=600)"""
    with contextlib.ExitStack() as stack:
        yield lambda *rules, **more: stack.enter_context(
            contextlib.closing(Network(*rules, **more)))


def _talk(server: Server, story: Story) -> None:
    """A second guest comes when the first is gone: 01 serves one at a time."""
    for number in range(2):
        guest = server.guest()
        story.tell(f"{guest.name} sent 256 KiB, read meanwhile, and ended its sending side")
        converse([guest], [random.Random(number).randbytes(256 * KIB)], finish=True)
        guest.expect_goodbye()
        guest.close()


@pytest.mark.fault(1)
def test_with_buffers_of_4_kib_nothing_is_lost(
        start_server: StartServer, story: Story, network: StartNetwork) -> None:
    """A plate of 64 KiB never fits: every write of one is short, or has to wait."""
    story.tell("made a network in which a socket may keep 4 KiB to send")
    small = network({"ipv4/tcp_wmem": "4096 4096 4096"})
    _talk(start_server(network=small), story)


@pytest.mark.fault(2)
def test_through_packets_of_600_bytes_everything_comes_back(
        start_server: StartServer, story: Story, network: StartNetwork) -> None:
    story.tell("made a network with packets of 600 bytes at most")
    _talk(start_server(network=network({}, mtu=600)), story)


@pytest.mark.fault(19)
def test_more_guests_than_the_backlog_are_all_served(
        start_server: StartServer, story: Story, network: StartNetwork) -> None:
    """For whom there is no room at the door, the kernel knocks again after a second."""
    story.tell("made a network in which 4 guests can stand at the door (somaxconn)")
    server = start_server(network=network({"core/somaxconn": "4"}))
    with server.paused():
        crowd = server.crowd(20, knock_only=True)
    with story.summed_up("each of the 20 said hello as soon as it was in, and left"):
        _come_in_any_order(crowd, story)


def _come_in_any_order(crowd: Crowd, story: Story) -> None:
    """Each leaves as soon as he has his echo: in 01 the next one waits for that."""
    with selectors.DefaultSelector() as selector:
        for guest in crowd:
            selector.register(guest.socket, selectors.EVENT_WRITE, guest)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            story.check(bool(ready), "each of them to be served",
                        f"{len(selector.get_map())} have waited for {PATIENCE:g} seconds in vain")
            for key, events in ready:
                if events & selectors.EVENT_WRITE:
                    key.data.send(b"hello")
                    selector.modify(key.data.socket, selectors.EVENT_READ, key.data)
                elif key.data.take() and not key.data.owed:
                    selector.unregister(key.data.socket)
                    key.data.leave()
