"""Where a client looks for a server: names, several addresses, IPv6, and itself."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import sys
import time

import pytest

import inject
from harness import machine, proc
from harness.chapters import Chapter, program
from harness.network import unshare
from harness.peer import echo
from harness.story import Story, tail
from harness.visits import FAST, StartClient, StartPeer, StartServer, full_backlog

pytestmark = pytest.mark.of_clients
ours = pytest.mark.ours_only("where its client looks for a server")

in_each_way = pytest.mark.parametrize("arguments", [["Hello"], ["-"], ["--guests", "2"]],
                                      ids=["message", "conversation", "crowd"])


def named(addresses: list[str], rules: str = "") -> dict[str, str]:
    """The name many.test has these addresses."""
    return inject.environment(f"names={','.join(addresses)} {rules}")


@in_each_way
@pytest.mark.fault(46)
@ours
def test_each_address_of_a_name_is_tried(start_peer: StartPeer, start_client: StartClient,
                                         arguments: list[str]) -> None:
    """Nobody listens at the first eight."""
    addresses = [f"127.0.0.{number}" for number in range(2, 10)] + ["127.0.0.1"]
    client = start_client("--host", "many.test", *arguments, peer=start_peer(echo),
                          env=named(addresses))
    client.expect_success()


@in_each_way
@pytest.mark.fault(69, happened="10 s in all")
@ours
def test_addresses_that_do_not_answer_share_the_ten_seconds(
        start_peer: StartPeer, start_client: StartClient, story: Story,
        arguments: list[str]) -> None:
    """Ten seconds for each would be more than eight minutes."""
    peer = start_peer(echo)
    dead = [f"127.0.1.{number}" for number in range(50)]
    with contextlib.ExitStack() as last:
        for host in dead:
            last.enter_context(full_backlog(host, peer.port))
        start = time.monotonic()
        client = start_client("--host", "many.test", *arguments, peer=peer,
                              env=named([*dead, "127.0.0.1"], f"clock={FAST}"))
        client.expect_success()
        story.check((time.monotonic() - start) * FAST < 100, "an end after ten seconds of its "
                    "clock, or somewhat later on a busy machine", "it took much longer")


@pytest.mark.fault(46)
@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.1"])
@ours
def test_a_host_by_name_or_number(
        start_server: StartServer, start_client: StartClient, host: str) -> None:
    machine.needs_address(host)
    start_client("--host", host, peer=start_server("--host", host)).expect_success()


@pytest.mark.fault(46, happened="unknown: exit 1")
@ours
def test_an_unknown_name_is_reported(start_client: StartClient) -> None:
    start_client("--host", "no-such-host.invalid").expect_failure("no-such-host.invalid")


@pytest.mark.fault(46)
@ours
def test_an_ipv6_address_is_printed_in_brackets(start_client: StartClient) -> None:
    machine.needs_address("::1")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
    line = start_client("--host", "::1", "--port", port).expect_failure()
    assert line == f"client: connect [::1]:{port}: Connection refused"


# ---- in a network of its own ---------------------------------------------------------------

# Each command runs in there, with {port} replaced, and one line is printed about each.
LET_RUN = """
import fcntl, json, pathlib, socket, struct, subprocess, sys

with socket.socket() as up:  # ip link set lo up
    fcntl.ioctl(up, 0x8914, struct.pack("16sh14x", b"lo", 1))

def run(command, port):
    ended = subprocess.run([word.replace("{port}", str(port)) for word in command],
                           input=b"Hello", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60)
    print(port, ended.returncode, ended.stderr.decode().strip(), flush=True)
"""

# Port by port, as a port rests for a minute after its use.
ONE_PORT = LET_RUN + """
def only_port(port):
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{port} {port}")

only_port(40000)
with socket.socket() as alone:
    alone.connect(("127.0.0.1", 40000))
    assert alone.getsockname() == alone.getpeername()
for port, command in enumerate(json.loads(sys.argv[1]), 40001):
    only_port(port)
    run(command, port)
"""

# Nobody listens there: refused is what an address with its scope is; without: invalid.
LINK_LOCAL = LET_RUN + """
with socket.socket(socket.AF_INET6) as any_socket:  # ip address add fe80::1/64 dev lo
    address = socket.inet_pton(socket.AF_INET6, "fe80::1")
    fcntl.ioctl(any_socket, 0x8916, struct.pack("16sIi", address, 64, 1))
for command in json.loads(sys.argv[1]):
    run(command, 9)
"""


def run_inside(script: str, commands: list[list[str]]) -> list[str]:
    ended = proc.run([*unshare("--net"), sys.executable, "-c", script, json.dumps(commands)],
                     within=60 + proc.PATIENCE)
    if not ended.stdout:
        pytest.skip(f"no such network here: {tail(ended.stderr, 1).strip()}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def commands(chapter: Chapter, *options: str) -> list[list[str]]:
    if chapter.is_foreign:
        return [shlex.split(chapter.client)]
    client = [str(program(chapter, "client")), *options, "--port", "{port}"]
    return [[*client, "Hello"], [*client, "-"], [*client, "--guests", "1"]]


@pytest.mark.fault(48, happened="exit 1")
def test_a_client_does_not_take_itself_for_a_server(chapter: Chapter, story: Story) -> None:
    """Where nobody listens, the kernel may give the client that very port: once in 28,000
    connections, or every time where it has one port to give."""
    lines = run_inside(ONE_PORT, commands(chapter))
    if chapter.is_foreign:
        _, status, *words = lines[0].split(maxsplit=2)
        story.check(status != "0" and words, "an exit status above 0, and words on stderr",
                    f"it has talked to itself: exit status {status}")
        return
    wanted = [f"{port} 1 client: connect 127.0.0.1:{port}: Connection refused"
              for port in (40001, 40002, 40003)]
    story.check(lines == wanted, f"{wanted}", f"it is {lines}")


@pytest.mark.fault(46)
@ours
def test_a_link_local_address_keeps_its_scope(chapter: Chapter, story: Story) -> None:
    lines = run_inside(LINK_LOCAL, commands(chapter, "--host", "fe80::1%lo"))
    refused = "9 1 client: connect [fe80::1%lo]:9: Connection refused"
    story.check(lines == [refused] * 3, refused, f"it is {lines}")
