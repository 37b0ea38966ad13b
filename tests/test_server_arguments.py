"""The command line: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from conftest import StartServer
from support import facts
from support import machine
from support.chapters import Chapter
from support.networks import Network
from support.servers import Server, binary, run_program
from support.story import Story

ours = pytest.mark.ours_only("its command line")


@ours
def test_help_is_usage_on_stdout(chapter: Chapter, story: Story) -> None:
    ended = run_program(story, binary(chapter, "server"), "--help")
    story.check(ended.returncode == 0 and not ended.stderr, "exit status 0 and an empty stderr",
                f"exit status {ended.returncode} and: {ended.stderr}")
    for word in ("usage", "--host", "--port", "--quiet"):
        story.check(word in ended.stdout.lower(), f"{word} in its help",
                    f"it says:\n{ended.stdout}")


@ours
@pytest.mark.fault(44, happened="a line, the usage, exit 2")
@pytest.mark.parametrize("arguments", [
    pytest.param(["--port", ""], id="port-empty"),
    pytest.param(["--port", "abc"], id="port-abc"),
    pytest.param(["--port", "-1"], id="port-negative"),
    pytest.param(["--port", "65536"], id="port-65536"),
    pytest.param(["--port", "80x"], id="port-80x"),
    pytest.param(["--port", " 80"], id="port-with-space"),
    pytest.param(["--port", "1e3"], id="port-1e3"),
    pytest.param(["--port", "99999999999999999999"], id="port-huge"),
    pytest.param(["--port"], id="port-missing"),
    pytest.param(["--host"], id="host-missing"),
    pytest.param(["--no-such-option"], id="unknown-option"),
    pytest.param(["--quiet=yes"], id="value-for-a-flag"),
    pytest.param(["8080"], id="stray-operand"),
])
def test_bad_arguments_are_refused_with_a_line_and_the_usage(
        chapter: Chapter, story: Story, arguments: list[str]) -> None:
    ended = run_program(story, binary(chapter, "server"), *arguments)
    story.check(ended.returncode == 2, "exit status 2", f"it is {ended.returncode}")
    lines = ended.stderr.splitlines() or [""]
    story.check(lines[0].startswith("server") and "usage" not in lines[0].lower(),
                "a first line on stderr that names the mistake", f"it is: {lines[0]}")
    story.check("usage" in "\n".join(lines[1:]).lower(), "the usage behind it on stderr",
                f"stderr is:\n{ended.stderr}")
    story.check(not ended.stdout, "nothing on stdout", f"there is: {ended.stdout}")


@ours
@pytest.mark.fault(43, happened="in use: a line, exit 1")
def test_a_port_in_use_is_told(server: Server, chapter: Chapter, story: Story) -> None:
    ended = run_program(story, binary(chapter, "server"), "--port", str(server.port))
    _expect_failure(ended.returncode, ended.stderr, story,
                    f": bind 127.0.0.1:{server.port}: Address already in use")
    server.serves_a_new_guest()


@ours
@pytest.mark.fault(45, happened="Permission denied, exit 1")
def test_a_port_that_nobody_may_have_is_told(
        chapter: Chapter, story: Story) -> None:
    """In a network of its own, as a machine may give port 80 to everybody."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a server as nobody")
    story.tell("as nobody (setpriv --reuid=65534), in a network where ports below 1024 are root's")
    with contextlib.closing(Network({"ipv4/ip_unprivileged_port_start": "1024"})) as network, \
            tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        copy = shutil.copy(binary(chapter, "server"), open_to_all)
        ended = run_program(story, Path(copy), "--port", "80", before=[
            *network.enter, "setpriv", "--reuid=65534", "--clear-groups"])
    _expect_failure(ended.returncode, ended.stderr, story,
                    ": bind 127.0.0.1:80: Permission denied")


@ours
@pytest.mark.fault(46, happened="unknown: a line, exit 1")
def test_an_unknown_host_is_told(chapter: Chapter, story: Story) -> None:
    ended = run_program(story, binary(chapter, "server"), "--host", "no-such-host.invalid")
    _expect_failure(ended.returncode, ended.stderr, story, "no-such-host.invalid")


@pytest.mark.fault(43)
def test_a_restart_on_the_same_port_works_at_once(
        start_server: StartServer, story: Story) -> None:
    """The old connection lingers in TIME_WAIT on the server's side, as the server ended it."""
    port = facts.free_port()
    first = start_server(port=port)
    guest = first.guest()
    guest.say(b"good evening")
    first.signal(signal.SIGKILL)
    first.ended = first.process.wait()
    guest.expect_goodbye()
    guest.close()
    start_server(port=port).serves_a_new_guest()


@pytest.mark.fault(46)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0.0.0.0"])
@ours
def test_a_host_by_name_or_number(start_server: StartServer, host: str) -> None:
    if host == "localhost":
        machine.needs_localhost()
    start_server("--host", host).serves_a_new_guest()


@ours
@pytest.mark.fault(46)
def test_a_host_by_ipv6(start_server: StartServer, ipv6: None) -> None:
    server = start_server("--host", "::1")
    server.expect_line(f"✅ Server listening on [::1]:{server.port}")
    guest = server.guest()
    server.expect_line(f"New connection from: {guest.own_address}")
    guest.say(b"six")
    guest.leave()


@ours
def test_without_options_it_is_127_0_0_1_8080(start_server: StartServer) -> None:
    if facts.listening_host(8080):
        pytest.skip("port 8080 is in use here")
    server = start_server(port=None)
    server.expect_line("✅ Server listening on 127.0.0.1:8080")
    server.serves_a_new_guest()


def _expect_failure(status: int, stderr: str, story: Story, words: str) -> None:
    story.check(status == 1, "exit status 1", f"it is {status}")
    lines = stderr.splitlines()
    story.check(len(lines) == 1 and lines[0].startswith("server") and words in lines[0],
                f"one line on stderr, server{words}", f"stderr is:\n{stderr}")


@pytest.fixture
def ipv6() -> Iterator[None]:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    yield
