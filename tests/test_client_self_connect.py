"""A port that the kernel hands out to clients can be the client's own: with nobody listening
there, the socket connects to itself and echoes to itself whatever it says. That is no server.

It happens by chance, once in 28,000 connections. In a network of our own, where the kernel has
one port to hand out, it happens every time."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from support.chapters import Chapter
from support.guests import PATIENCE
from support.servers import binary, tail
from support.story import Story
from support_clients.namespaces import unshare

pytest_plugins = "support_clients.fixtures"
pytestmark = pytest.mark.of_clients

# Runs in the network of its own. Port by port, as a port rests for a minute after use.
INSIDE = """
import fcntl, json, pathlib, socket, struct, subprocess, sys

def only_port(port):
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{port} {port}")

with socket.socket() as up:  # ip link set lo up
    fcntl.ioctl(up, 0x8914, struct.pack("16sh14x", b"lo", 1))
only_port(40000)
with socket.socket() as alone:
    alone.connect(("127.0.0.1", 40000))
    assert alone.getsockname() == alone.getpeername()
print("a socket has met itself", flush=True)
for port, command in enumerate(json.loads(sys.argv[1]), 40001):
    only_port(port)
    ended = subprocess.run([word.replace("{port}", str(port)) for word in command],
                           input=b"Hello", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60)
    print(port, ended.returncode, ended.stderr, flush=True)
"""


@pytest.mark.fault(48, happened="refused: a line, exit 1")
def test_a_client_does_not_take_itself_for_a_server(chapter: Chapter, story: Story) -> None:
    commands = _commands(chapter)
    command = [*unshare("--net"), sys.executable, "-c", INSIDE, json.dumps(commands)]
    story.tell("made a network in which the kernel has one port to hand out")
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=60 + PATIENCE, check=False)
    lines = ended.stdout.splitlines()
    if not lines:
        pytest.skip(f"no socket can be made to meet itself here: {tail(ended.stderr, 1)}")
    story.tell("let the client look for a server at that port, where nobody listens")
    for port, line in enumerate(lines[1:], 40001):
        refused = f"connect 127.0.0.1:{port}: Connection refused\\n"
        words = "" if chapter.is_foreign else refused
        story.check(line.startswith(f"{port} 1 ") and words in line,
                    f"exit status 1, and on stderr {refused}", f"it was {line}\n{ended.stderr}")
    story.check(len(lines) == 1 + len(commands), "an end to each visit",
                f"it was:\n{ended.stdout}\n{ended.stderr}")


def _commands(chapter: Chapter) -> list[list[str]]:
    """In each of its three ways; a foreign client in its one."""
    if chapter.client:
        return [shlex.split(chapter.client)]
    client = [str(binary(chapter, "client")), "--port", "{port}"]
    return [[*client, "Hello"], [*client, "-"], [*client, "--guests", "1"]]
