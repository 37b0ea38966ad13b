"""The client's command line: what it takes, what it refuses, and where it looks for a server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from conftest import StartServer
from support import facts
from support import machine
from support.chapters import Chapter
from support.servers import binary, run_program
from support.story import Story
from support_clients.clients import StartClient
from support_clients.namespaces import unshare

pytest_plugins = "support_clients.fixtures"
pytestmark = [pytest.mark.of_clients, pytest.mark.ours_only("its clients")]


def test_help_is_usage_on_stdout(chapter: Chapter, story: Story) -> None:
    ended = run_program(story, binary(chapter, "client"), "--help")
    story.check(ended.returncode == 0 and not ended.stderr, "exit status 0 and an empty stderr",
                f"exit status {ended.returncode} and: {ended.stderr}")
    for word in ("usage", "--host", "--port", "--guests", "--rounds"):
        story.check(word in ended.stdout.lower(), f"{word} in its help",
                    f"it says:\n{ended.stdout}")


@pytest.mark.fault(44, happened="a line, the usage, exit 2")
@pytest.mark.parametrize("arguments", [
    pytest.param(["--port", ""], id="port-empty"),
    pytest.param(["--port", "0"], id="port-0"),
    pytest.param(["--port", "x"], id="port-x"),
    pytest.param(["--port", "65536"], id="port-65536"),
    pytest.param(["--port", "80x"], id="port-80x"),
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
        chapter: Chapter, story: Story, arguments: list[str]) -> None:
    ended = run_program(story, binary(chapter, "client"), *arguments)
    story.check(ended.returncode == 2, "exit status 2", f"it is {ended.returncode}")
    lines = ended.stderr.splitlines() or [""]
    story.check(lines[0].startswith("client") and "usage" not in lines[0].lower(),
                "a first line on stderr that names the mistake", f"it is: {lines[0]}")
    named = arguments[0] if arguments[0].startswith("--") else arguments[-1]
    story.check(named in lines[0], f"'{named}' in that line", f"it is: {lines[0]}")
    story.check("usage" in "\n".join(lines[1:]).lower(), "the usage behind it on stderr",
                f"stderr is:\n{ended.stderr}")
    story.check(not ended.stdout, "nothing on stdout", f"there is: {ended.stdout}")


def test_a_dash_too_few_is_told(chapter: Chapter, story: Story) -> None:
    ended = run_program(story, binary(chapter, "client"), "-guests", "10")
    words = ": there is no option '-g': they all have two dashes"
    story.check(ended.returncode == 2 and ended.stderr.splitlines()[0].endswith(words),
                f"exit status 2, and a first line that ends with '{words}'",
                f"exit status {ended.returncode}, and: {ended.stderr}")


def test_without_options_it_goes_to_127_0_0_1_8080(
        start_server: StartServer, start_client: StartClient) -> None:
    if facts.listening_host(8080):
        pytest.skip("port 8080 is in use here")
    start_server(port=None)
    start_client().expect_success()


@pytest.mark.fault(46, happened="each address is tried")
@pytest.mark.parametrize("arguments", [["Hello"], ["-"], ["--guests", "2"]],
                         ids=["message", "conversation", "crowd"])
def test_a_name_with_several_addresses_is_tried_until_one_answers(
        start_server: StartServer, start_client: StartClient, story: Story, tmp_path: Path,
        arguments: list[str]) -> None:
    server = start_server("--host", "127.0.0.3")  # the kernel's own 127.0.0.1 is tried first
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 tokio.test\n127.0.0.2 tokio.test\n127.0.0.3 tokio.test\n")
    story.tell("wrote three addresses for tokio.test into /etc/hosts; a server is at the last")
    start_client("--host", "tokio.test", "--port", server.port, *arguments, before=[
        *unshare("--mount"), "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts),
    ]).expect_success()


@pytest.mark.fault(46)
def test_a_host_by_name(start_server: StartServer, start_client: StartClient) -> None:
    server = start_server()
    machine.needs_localhost()
    start_client("--host", "localhost", "--port", server.port).expect_success()


@pytest.mark.fault(46)
def test_a_server_at_an_ipv6_address(
        start_server: StartServer, start_client: StartClient) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    server = start_server("--host", "::1")
    start_client("--host", "::1", "--port", server.port).expect_success()


@pytest.mark.fault(46, happened="unknown: a line, exit 1")
def test_an_unknown_name_is_told(start_client: StartClient) -> None:
    start_client("--host", "no-such-host.invalid").expect_failure("no-such-host.invalid")
