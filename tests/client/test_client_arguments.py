"""The client's command line: what it takes, and what it refuses."""

from __future__ import annotations

import os

import pytest

from harness import proc
from harness.story import Story
from harness.visits import StartClient, StartServer

pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]


def test_help_is_usage_on_stdout(start_client: StartClient, story: Story) -> None:
    client = start_client("--help")
    client.expect_success()
    usage = client.out.decode()
    story.check(usage.startswith("Usage: client [OPTION]... [MESSAGE | -]\n"),
                "'Usage: client [OPTION]... [MESSAGE | -]' as its first line", f"it says:\n{usage}")
    for word in ("--host", "--port", "--guests", "--rounds"):
        story.check(word in usage, f"{word} in its help", f"it says:\n{usage}")


def test_help_that_cannot_be_written_is_a_failure(start_client: StartClient) -> None:
    start_client("--help", shell=">/dev/full").expect_failure("No space left on device")


@pytest.mark.fault(44, happened="exit 2")
@pytest.mark.parametrize("arguments", [
    pytest.param(["--port", ""], id="port-empty"),
    pytest.param(["--port", "0"], id="port-0"),
    pytest.param(["--port", "x"], id="port-x"),
    pytest.param(["--port", "65536"], id="port-65536"),
    pytest.param(["--port", "80x"], id="port-80x"),
    pytest.param(["--port", " 80"], id="port-space"),
    pytest.param(["--port"], id="port-missing"),
    pytest.param(["--guests", "0"], id="guests-0"),
    pytest.param(["--guests", "many"], id="guests-many"),
    pytest.param(["--rounds", "-1"], id="rounds-negative"),
    pytest.param(["--rounds", "99999999999999999999"], id="rounds-huge"),
    pytest.param(["--no-such-option"], id="unknown-option"),
    pytest.param(["-x"], id="unknown-letter"),
    pytest.param(["Hello", "Tokio"], id="two-messages"),
    pytest.param(["-", "Hello"], id="conversation-and-message"),
    pytest.param(["--guests", "2", "-"], id="crowd-and-conversation"),
])
def test_bad_arguments_are_refused_with_a_line_and_the_usage(
        start_client: StartClient, story: Story, arguments: list[str]) -> None:
    client = start_client(*arguments)
    client.expect_exit(2)
    first, *usage = client.err.splitlines()
    named = (arguments[0] if arguments[0].startswith("--") else arguments[-1]).lstrip("-") or "-"
    story.check(first.startswith("client: ") and named in first,
                f"a first line that begins with 'client: ' and names {named}", f"it is: {first}")
    story.check(usage and usage[0].startswith("Usage: client "), "the usage behind it",
                f"it is: {usage}")
    story.check(not client.out, "nothing on stdout", f"there is {client.out!r}")


def test_without_options_it_connects_to_127_0_0_1_8080(
        start_server: StartServer, start_client: StartClient) -> None:
    if proc.listening(os.getpid(), 8080):
        pytest.skip("port 8080 is in use here")
    start_server(port=None)
    start_client().expect_success()
