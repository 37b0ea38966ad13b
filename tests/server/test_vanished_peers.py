"""A peer that vanishes: no end and no reset arrives, because the network is down."""

from __future__ import annotations

import sys
import time

import pytest

from harness import proc

pytestmark = pytest.mark.fault(65)

DOWN = ("import fcntl, socket, struct\n"  # ip link set lo down
        "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0))")


@pytest.mark.ours_only("--idle-timeout")
def test_a_peer_that_vanishes_is_noticed_by_a_time_limit_only(
        start_server, story, chapter, network):
    """TCP alone sends nothing while nobody talks, and so it learns nothing."""
    place = network()
    limit = ["--idle-timeout", "5"] if chapter.runtime else []
    server = start_server(*limit, network=place, clock=10)
    before = server.descriptors()
    client = server.client()
    client.say(b"good evening")
    story.tell("the network went down, and the client vanished")
    proc.run([*place.enter, sys.executable, "-c", DOWN])
    client.reset()
    if limit:
        server.expect_descriptors(before)
        story.outcome("noticed by --idle-timeout")
    else:
        time.sleep(0.1)
        story.check(server.descriptors() > before, "nobody to have noticed", "it has")
        story.outcome("not noticed")
