"""A network namespace with other rules than this machine's: smaller buffers, packets, queues.

A socket belongs to the network in which it was made. So a helper inside makes the clients'
sockets and hands them out, and a server is started inside; the test itself stays where it is.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from functools import lru_cache
from typing import Mapping

import pytest

from . import proc

# Runs inside. Sets the rules, says "ready", then answers each byte with a new TCP socket.
INSIDE = """
import fcntl, pathlib, socket, struct, sys, time

channel = socket.socket(fileno=int(sys.argv[1]))
with socket.socket() as any_socket:
    if int(sys.argv[2]):  # ip link set lo mtu ...
        fcntl.ioctl(any_socket, 0x8922, struct.pack("16si12x", b"lo", int(sys.argv[2])))
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # ip link set lo up
if sys.argv[3]:  # ip address add ... dev lo
    with socket.socket(socket.AF_INET6) as any_socket:
        address = socket.inet_pton(socket.AF_INET6, sys.argv[3])
        fcntl.ioctl(any_socket, 0x8916, struct.pack("16sIi", address, 64, 1))
    tentative = lambda line: int(line.split()[4], 16) & 0x40  # until then nobody can bind it
    while any(map(tentative, pathlib.Path("/proc/net/if_inet6").read_text().splitlines())):
        time.sleep(0.002)
for rule in sys.argv[4:]:
    name, _, value = rule.partition("=")
    pathlib.Path("/proc/sys/net", name).write_text(value)
channel.send(b"ready")
while channel.recv(1):
    with socket.socket() as made:
        socket.send_fds(channel, [b"!"], [made.fileno()])
"""


@lru_cache(maxsize=None)
def _unshare(kind: str) -> tuple[list[str], str]:
    """What to type, and why that is not possible."""
    trouble = "it is missing (Debian: util-linux)"
    for words in (["unshare", kind], ["unshare", "--map-root-user", kind]):
        if shutil.which("unshare"):
            tried = proc.run([*words, "true"])
            if tried.returncode == 0:
                return words, ""
            trouble = tried.stderr.strip()
    return [], trouble


def unshare(kind: str) -> list[str]:
    """What to type before a command that shall have its own "--net"."""
    words, trouble = _unshare(kind)
    if trouble:
        pytest.skip(f"unshare {kind} is not possible here: {trouble}")
    return words


class Network:
    """Network({"ipv4/tcp_wmem": "4096 4096 4096"}): what sysctl -w net... would set."""

    def __init__(self, rules: Mapping[str, str] = {}, mtu: int = 0, address: str = "") -> None:
        words = unshare("--net")
        self._with_user = "--map-root-user" in words
        self._channel, inside = socket.socketpair()
        with inside:
            self._helper = proc.start(
                [*words, sys.executable, "-c", INSIDE, str(inside.fileno()), str(mtu),
                 address, *(f"{name}={value}" for name, value in rules.items())],
                pass_fds=[inside.fileno()], stderr=subprocess.PIPE)
        if self._channel.recv(16) != b"ready":
            trouble = self._helper.communicate()[1].decode().splitlines()
            self.stop()
            pytest.skip(f"no such network here: {trouble[-1]}")

    @property
    def enter(self) -> list[str]:
        """What to type before a command that shall run inside."""
        user = ["--user", "--preserve-credentials"] if self._with_user else []
        return ["nsenter", f"--target={self._helper.pid}", *user, "--net"]

    def socket(self, *_: int) -> socket.socket:
        """Of IPv4 and TCP: it makes no others."""
        self._channel.send(b"?")
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        return socket.socket(fileno=descriptors[0])

    def stop(self) -> None:
        self._channel.close()
        if self._helper.stderr:
            self._helper.stderr.close()
        proc.end(self._helper)
