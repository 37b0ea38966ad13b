#!/usr/bin/env python3
"""The same echo server on libuv, libevent, Tokio, Go, Node and asyncio, to compare with.

    python3 tests/peers/peers.py      build them, and say how each is started

`make bench PEERS=1` measures them beside the chapters. The tests can check any of them, as they
can check any echo server in any language:

    pytest tests/ --server 'tests/.build/peers/libuv {port}'
    pytest tests/ --server 'node tests/peers/node.js {port}'

They are written as each library's own documentation would, as small as a correct server can be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / ".build" / "peers"


@dataclass(frozen=True)
class Peer:
    name: str
    command: tuple[str, ...]
    needs: str  # a program
    package: str  # Debian's, where it comes from
    built: bool = True

    def trouble(self) -> str:
        """Builds it. Why that cannot be done here, or nothing."""
        if shutil.which(self.needs) is None:
            return f"{self.needs} is missing (Debian: {self.package})"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        command = ["make", "-s", "-C", str(HERE), f"../.build/peers/{self.name.lower()}"]
        if self.built and subprocess.run(command, env=kept, capture_output=True).returncode:
            return f"it cannot be built here (Debian: {self.package})"
        return ""


PEERS = (
    Peer("libuv", (str(BUILD / "libuv"), "{port}"), "cc", "libuv1-dev"),
    Peer("libevent", (str(BUILD / "libevent"), "{port}"), "cc", "libevent-dev"),
    Peer("Tokio", (str(BUILD / "tokio"), "{port}"), "cargo", "cargo librust-tokio-dev"),
    Peer("Go", (str(BUILD / "go"), "{port}"), "go", "golang-go"),
    Peer("Node", ("node", str(HERE / "node.js"), "{port}"), "node", "nodejs", built=False),
    Peer("asyncio", (sys.executable, str(HERE / "asyncio_echo.py"), "{port}"), sys.executable,
         "python3", built=False),
)

if __name__ == "__main__":
    for peer in PEERS:
        print(f"{peer.name:10}{peer.trouble() or ' '.join(peer.command)}")
