"""`./client MESSAGE`: the words on the screen, exactly; and what its command line refuses."""

from __future__ import annotations

import os
import random
import shlex

import pytest

from harness import proc
from harness.peer import ClientProgram
from harness.visits import in_pieces

pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]

LONG = "".join(random.Random(3).choices("Zwölf Boxkämpfer jagen Viktor quer ", k=90_000))


def expect_three_lines(client: ClientProgram, message: str) -> None:
    client.expect_success(b"Successfully connected to server\nSending message: '%b'\n"
                          b"Received echo from server: '%b'\n" % ((os.fsencode(message),) * 2))


@pytest.mark.parametrize("arguments, message", [
    pytest.param((), "Hello, Tokio!", id="none"),
    pytest.param([""], "", id="empty"),
    pytest.param(["two\nlines\tand a tab "], "two\nlines\tand a tab ", id="two-lines"),
    pytest.param(["Grüße, 世界 🦀"], "Grüße, 世界 🦀", id="utf-8"),
    pytest.param([os.fsdecode(b"\x7f\xfe %n\xc3")], os.fsdecode(b"\x7f\xfe %n\xc3"), id="bytes"),
    pytest.param([LONG], LONG, id="100-kB"),
    pytest.param(["--", "--port"], "--port", id="after-two-dashes"),
])
def test_a_message_comes_back_as_it_was_sent(server, start_client, arguments, message):
    expect_three_lines(start_client(*arguments, peer=server), message)


def test_it_waits_for_the_whole_echo(start_peer, start_client):
    expect_three_lines(start_client(LONG[:10_000], peer=start_peer(in_pieces)), LONG[:10_000])


def test_without_options_it_connects_to_127_0_0_1_8080(start_server, start_client):
    if proc.listening(os.getpid(), 8080):
        pytest.skip("port 8080 is in use here")
    start_server(port=None)
    start_client().expect_success()


def test_help_is_usage_on_stdout(start_client, story):
    client = start_client("--help")
    client.expect_success()
    usage = client.out.decode()
    story.check(usage.startswith("Usage: client [OPTION]... [MESSAGE | -]\n"),
                "how it is called on its first line", f"it says:\n{usage}")
    for word in ("--host", "--port", "--guests", "--rounds"):
        story.check(word in usage, f"{word} in its help", f"it says:\n{usage}")


def test_help_that_cannot_be_written_is_a_failure(start_client):
    start_client("--help", shell=">/dev/full").expect_failure("No space left on device")


@pytest.mark.fault(44, happened="exit 2")
@pytest.mark.parametrize("line", [
    "--port ''", "--port 0", "--port x", "--port 65536", "--port 80x", "--port ' 80'", "--port",
    "--guests 0", "--guests many", "--rounds -1", "--rounds 99999999999999999999",
    "--no-such-option", "-x", "Hello Tokio", "- Hello", "--guests 2 -",
])
def test_bad_arguments_are_refused_with_a_line_and_the_usage(start_client, story, line):
    words = shlex.split(line)
    client = start_client(*words)
    client.expect_exit(2)
    first, *usage = client.err.splitlines()
    named = (words[0] if words[0].startswith("--") else words[-1]).lstrip("-") or "-"
    story.check(first.startswith("client: ") and named in first,
                f"a first line that begins with 'client: ' and names {named}", f"it is: {first}")
    story.check(usage and usage[0].startswith("Usage: client "), "the usage behind it",
                f"it is: {usage}")
    story.check(not client.out, "nothing on stdout", f"there is {client.out!r}")
