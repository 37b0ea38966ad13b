"""make bench: it names a server that is wrong, leaves nothing behind, and its page says what was
measured. No figure is judged here: that is the reader's part."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from harness import proc

BENCH = Path(__file__).resolve().parent
DOCS = BENCH.parents[1] / "docs"

pytestmark = pytest.mark.ours_only("its measurements")

CHANGES_A_BYTE = """
import socket, sys, threading
def serve(client):
    while data := client.recv(65536):
        client.sendall(data if len(data) < 64 else data[:40] + b"?" + data[41:])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=100)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def run(**more: str) -> "subprocess.Popen[bytes]":
    if not os.access(BENCH, os.W_OK):
        pytest.skip("the bench builds in tests/.build, and nothing can be written there")
    options = {"PEERS": "", "PAGE": "", "SERVER": "", "CONNECTIONS": "", "MILLION": "",
               "CHAPTERS": "01-blocking", "ROUNDS": "1", "ONLY": "busy", **more}
    return proc.start([sys.executable, str(BENCH / "bench.py")], options,
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_server_that_changes_a_byte_is_named_and_not_measured(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(CHANGES_A_BYTE)
    bench = run(CHAPTERS="04-epoll", ONLY="floods",
                SERVER=f"{sys.executable} {tmp_path}/wrong.py {{port}}")
    said = bench.communicate()[0].decode()
    proc.end(bench)
    assert re.search(r"^skipped: yours: .*client \d+, message 0: byte 40 is wrong", said, re.M), said
    assert re.search(r"^04-epoll .* [\d,]+$", said, re.M), said
    assert not re.search(r"^yours", said, re.M), said
    assert bench.returncode == 1


def marked(token: str) -> list[str]:
    """The names of the living processes with this token in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
            if token.encode() in (entry / "environ").read_bytes():
                found.append((entry / "comm").read_text().strip())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
                         ids=lambda number: number.name)
def test_a_signal_ends_it_with_all_that_it_has_started(number: signal.Signals) -> None:
    token = uuid.uuid4().hex
    bench = run(BENCH_TEST=token, ROUNDS="1000")
    try:
        assert proc.eventually(lambda: "load" in marked(token), 60)
        bench.send_signal(number)
        said = bench.communicate()[0].decode()
        assert proc.eventually(lambda: not marked(token)), marked(token)
        assert number == signal.SIGKILL or f"ended by {number.name}" in said
    finally:
        proc.end(bench)


def test_the_page_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import page
    results = page.read((DOCS / "costs" / "results.txt").read_text(encoding="utf-8"))
    text = (DOCS / "costs.md").read_text(encoding="utf-8")
    assert page.filled(text, results) == text, "python3 tests/bench/page.py fills it"
    assert "–<!-- / -->" not in text, "a figure that nobody measured"


@pytest.mark.thorough
def test_fifty_thousand_connections_are_held_and_ended_in_good_order() -> None:
    bench = run(CONNECTIONS="50000", CHAPTERS="04-epoll 05-async-tasks")
    said = bench.communicate()[0].decode()
    proc.end(bench)
    assert bench.returncode == 0, said
