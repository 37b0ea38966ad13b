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


def run(**more: str) -> "subprocess.Popen[str]":
    narrowed = {"PEERS": "", "PAGE": "", "SERVER": "", "CONNECTIONS": "", "MILLION": "",
                "CHAPTERS": "01-blocking", "ROUNDS": "1", "ONLY": "busy", **more}
    return subprocess.Popen([sys.executable, str(BENCH / "bench.py")], text=True,
                            env=proc.environment(narrowed), start_new_session=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def test_a_server_that_changes_a_byte_is_named_and_not_measured(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(CHANGES_A_BYTE)
    bench = run(SERVER=f"{sys.executable} {tmp_path}/wrong.py {{port}}")
    said = bench.communicate()[0]
    assert re.search(r"skipped: yours: .*client \d+, message 0: byte 40 is wrong", said), said
    assert not re.search(r"^yours +\d", said, re.MULTILINE), said
    assert re.search(r"^bare epoll, 1 KiB +\d", said, re.MULTILINE), said
    assert bench.returncode == 1


def marked(token: str) -> "dict[int, str]":
    """The living processes with this token in their environment, and their names."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
            if token.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
                         ids=lambda number: number.name)
def test_a_signal_ends_it_with_all_that_it_has_started(number: signal.Signals) -> None:
    token = uuid.uuid4().hex
    bench = run(BENCH_TEST=token, ROUNDS="1000")
    try:
        assert proc.eventually(lambda: "load" in marked(token).values(), 60)
        bench.send_signal(number)
        said = bench.communicate()[0]
        assert proc.eventually(lambda: not marked(token)), marked(token)
        assert number == signal.SIGKILL or f"ended by {number.name}" in said
    finally:
        for pid in marked(token):  # only after a failure
            os.kill(pid, signal.SIGKILL)
        bench.wait()


def test_the_page_and_its_pictures_say_what_was_measured() -> None:
    sys.path.insert(0, str(BENCH))
    try:
        import page
    finally:
        sys.path.remove(str(BENCH))
    results = page.read((DOCS / "costs" / "results.txt").read_text(encoding="utf-8"))
    text = (DOCS / "costs.md").read_text(encoding="utf-8")
    assert page.filled(text, results) == text, "python3 tests/bench/page.py fills it"
    for name, picture in page.pictures(results).items():
        assert (DOCS / "costs" / name).read_text(encoding="utf-8") == picture
    assert "–<!-- / -->" not in text, "a figure that nobody measured"


@pytest.mark.thorough
def test_fifty_thousand_connections_are_held_and_ended_in_good_order() -> None:
    bench = run(CONNECTIONS="50000", CHAPTERS="04-epoll 05-async-tasks")
    said = bench.communicate()[0]
    assert bench.returncode == 0, said
