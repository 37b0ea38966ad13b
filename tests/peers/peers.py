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
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / ".build" / "peers"


class Peer(NamedTuple):
    name: str
    package: str  # Debian's, where it comes from
    command: tuple[str, ...] = ()  # or it is a program that is built here

    @property
    def start(self) -> tuple[str, ...]:
        return (*(self.command or (str(BUILD / self.name.lower()),)), "{port}")

    def trouble(self) -> str:
        """Builds it. Why that cannot be done here, or nothing."""
        if self.command:
            there = shutil.which(self.command[0]) is not None
        else:
            kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
            command = ["make", "-s", "-C", str(HERE), f"../.build/peers/{self.name.lower()}"]
            there = subprocess.run(command, env=kept, capture_output=True).returncode == 0
        return "" if there else f"it cannot be built or started here (Debian: {self.package})"


PEERS = (Peer("libuv", "libuv1-dev"), Peer("libevent", "libevent-dev"),
         Peer("Tokio", "cargo librust-tokio-dev"), Peer("Go", "golang-go"),
         Peer("Node", "nodejs", ("node", str(HERE / "node.js"))),
         Peer("asyncio", "python3", (sys.executable, str(HERE / "asyncio_echo.py"))))

if __name__ == "__main__":
    for peer in PEERS:
        print(f"{peer.name:10}{peer.trouble() or ' '.join(peer.start)}")
