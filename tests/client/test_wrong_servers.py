"""A server that is gone, wrong, too short or too long: one clear line, exit 1, never a hang."""

from __future__ import annotations

import re
import socket

import pytest

from harness.peer import ClientProgram, echo
from harness.story import Story
from harness.visits import (CONVERSATION, CROWD, GUESTS, MESSAGE, Mode, adds, adds_at_the_end,
                            alters, closes_at_once, ends, in_every_mode, in_modes_that_compare,
                            resets)

pytestmark = pytest.mark.of_clients


def expect_fault(client: ClientProgram, mode: Mode, story: Story, *words: str) -> str:
    line = client.expect_failure(*words)
    story.check("no progress" not in line, "a fault that is seen at once",
                f"it waited for its patience to end: {line}")
    if mode is CROWD:
        story.check(line.startswith("client: guest ") or "connect " in line,
                    "a line that names the guest", f"it is: {line}")
        client.expect_report(rf"{GUESTS} guests, \d+ echo(es)?, [1-{GUESTS}] errors?")
    return line


@in_every_mode
def test_no_server_at_all(start_client, chapter, story, mode):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # the kernel gives it to no client for a while
    line = mode.start(start_client, "--port", port).expect_failure()
    words = f"client: connect 127.0.0.1:{port}: Connection refused"
    story.check(chapter.is_foreign or line == words, f"the line '{words}'", f"it is: {line}")


@in_every_mode
@pytest.mark.parametrize("script", [closes_at_once, ends(0)], ids=["closes", "ends"])
def test_a_server_that_does_not_read(start_client, start_peer, story, script, mode):
    """Whether the client sees the end or a reset first is up to the kernel."""
    client = mode.start(start_client, peer=start_peer(script))
    line = expect_fault(client, mode, story)
    known = ("the server closed the connection after 0 of ", "read after 0 bytes of echo: ",
             "write after 0 bytes of echo: ", "connect: Connection reset by peer")
    story.check(client.is_foreign or any(words in line for words in known),
                "a line that says so, after 0 bytes", f"it is: {line}")


@in_every_mode
def test_an_echo_that_is_too_short(start_client, start_peer, story, mode):
    """Held against the whole message, not against the piece of it that was under way; the
    length of a conversation is known when its input has ended."""
    client = mode.start(start_client, peer=start_peer(ends(mode.middle)))
    whole = f" of {mode.length} bytes" if mode is MESSAGE else " of"
    expect_fault(client, mode, story, f"closed the connection after {mode.middle}{whole}")


@in_every_mode
@pytest.mark.parametrize("script", [adds, lambda count: adds_at_the_end],
                         ids=["at-once", "after-our-end"])
def test_an_echo_that_is_too_long(start_client, start_peer, story, script, mode):
    client = mode.start(start_client, peer=start_peer(script(mode.length)))
    expect_fault(client, mode, story,
                 f"more came back than was sent: extra byte at offset {mode.length}")


@in_every_mode
def test_a_connection_that_is_reset(start_client, start_peer, story, mode):
    client = mode.start(start_client, peer=start_peer(resets(mode.middle)))
    expect_fault(client, mode, story, "bytes of echo: " if mode is CONVERSATION
                 else "bytes of echo: Connection reset by peer")


@in_modes_that_compare
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_an_altered_byte(start_client, start_peer, story, where, mode):
    offset = {"first": 0, "middle": mode.middle, "last": mode.length - 1}[where]
    client = mode.start(start_client, peer=start_peer(alters(offset)))
    line = expect_fault(client, mode, story, f"wrong byte at offset {offset}: sent")
    bytes_named = [int(byte, 16) for byte in re.findall(r"0x(..)", line)]
    story.check(len(bytes_named) == 2 and bytes_named[0] ^ bytes_named[1] == 0x80,
                "what was sent and what came, in that line", f"it is: {line}")


@in_modes_that_compare
def test_a_server_that_speaks_first(start_client, start_peer, story, mode):
    """Too much or wrong: that depends on whether we had sent something before it spoke."""
    client = mode.start(start_client, peer=start_peer(adds(0)))
    expect_fault(client, mode, story, "byte at offset 0")


@in_every_mode
def test_a_stdout_that_is_full_is_reported(start_client, start_peer, mode):
    """Not the server's fault, but as wrong: a copy with bytes missing must not look like one."""
    client = mode.start(start_client, peer=start_peer(echo), shell="exec >/dev/full")
    client.expect_failure("stdout: No space left on device")
