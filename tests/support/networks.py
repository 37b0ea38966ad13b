"""A network of one's own, with other rules than this machine's: smaller buffers, packets, queues.

A socket belongs to the network in which it was made. So a helper inside makes the guests'
sockets and hands them out, and a server is started inside; the test itself stays where it is.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Mapping

import pytest

from support_clients.namespaces import unshare

# Runs inside. Sets the rules, says "ready", then answers each byte with a new TCP socket.
INSIDE = """
import fcntl, pathlib, socket, struct, sys

channel = socket.socket(fileno=int(sys.argv[1]))
with socket.socket() as any_socket:
    if int(sys.argv[2]):  # ip link set lo mtu ...
        fcntl.ioctl(any_socket, 0x8922, struct.pack("16si12x", b"lo", int(sys.argv[2])))
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # ip link set lo up
for rule in sys.argv[3:]:
    name, _, value = rule.partition("=")
    pathlib.Path("/proc/sys/net", name).write_text(value)
channel.send(b"ready")
while channel.recv(1):
    with socket.socket() as made:
        socket.send_fds(channel, [b"!"], [made.fileno()])
"""


class Network:
    """Network({"ipv4/tcp_wmem": "4096 4096 4096"}): what sysctl -w net... would set."""

    def __init__(self, rules: Mapping[str, str], mtu: int = 0) -> None:
        words = unshare("--net")
        self._channel, inside = socket.socketpair()
        with inside:
            self._helper = subprocess.Popen(
                [*words, sys.executable, "-c", INSIDE, str(inside.fileno()), str(mtu),
                 *(f"{name}={value}" for name, value in rules.items())],
                pass_fds=[inside.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._with_user = "--map-root-user" in words
        if self._channel.recv(16) != b"ready":
            _, trouble = self._helper.communicate()
            self.close()
            pytest.skip(f"no such network here: {trouble.decode().splitlines()[-1]}")

    @property
    def enter(self) -> list[str]:
        """What to type before a command that shall run inside."""
        user = ["--user", "--preserve-credentials"] if self._with_user else []
        return ["nsenter", f"--target={self._helper.pid}", *user, "--net"]

    def socket(self, family: int, kind: int) -> socket.socket:
        assert (family, kind) == (socket.AF_INET, socket.SOCK_STREAM), "the helper makes no others"
        self._channel.send(b"?")
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        return socket.socket(fileno=descriptors[0])

    def close(self) -> None:
        self._channel.close()
        if self._helper.stderr:
            self._helper.stderr.close()
        self._helper.wait()
