"""make bench: it names a server that is wrong, leaves nothing behind, and its page says what was
measured. No figure is judged here: that is the reader's part."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Callable, Iterator

import pytest

BENCH = Path(__file__).resolve().parent
DOCS = BENCH.parents[1] / "docs"
SMALL = {"CHAPTERS": "01-blocking", "ROUNDS": "1", "ONLY": "busy"}
MARK = "BENCH_TEST"  # in the environment of all that a test has started

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


def environment(**more: str) -> "dict[str, str]":
    ours = ("PEERS", "SERVER", "PAGE", "CHAPTERS", "ROUNDS", "ONLY", "CONNECTIONS", "MILLION")
    return {**{name: value for name, value in os.environ.items() if name not in ours},
            **SMALL, **more}


def test_a_server_that_changes_a_byte_is_named_and_not_measured(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(CHANGES_A_BYTE)
    ran = subprocess.run([sys.executable, str(BENCH / "bench.py")], text=True, check=False,
                         env=environment(SERVER=f"{sys.executable} {tmp_path}/wrong.py {{port}}"),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert re.search(r"skipped: yours: .*client \d+, message 0: byte 40 is wrong", ran.stdout), \
        ran.stdout
    assert not re.search(r"^yours +\d", ran.stdout, re.MULTILINE), ran.stdout
    assert re.search(r"^bare epoll, 1 KiB +\d", ran.stdout, re.MULTILINE), ran.stdout
    assert ran.returncode == 1


@pytest.fixture
def token() -> Iterator[str]:
    token = uuid.uuid4().hex
    yield token
    for pid, _ in marked(token):  # only after a failure
        os.kill(pid, signal.SIGKILL)


def marked(token: str) -> "list[tuple[int, str]]":
    """The living processes with this token in their environment, and their names."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if token.encode() in (entry / "environ").read_bytes():
                found.append((int(entry.name), (entry / "comm").read_text().strip()))
        except OSError:
            pass  # it has ended, or is not ours to look at
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
                         ids=lambda number: number.name)
def test_a_signal_ends_it_with_all_that_it_has_started(token: str,
                                                       number: signal.Signals) -> None:
    bench = subprocess.Popen([sys.executable, str(BENCH / "bench.py")], text=True,
                             env=environment(**{MARK: token, "ROUNDS": "1000"}),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, start_new_session=True)
    try:
        until(lambda: any(name == "load" for _, name in marked(token)))
        bench.send_signal(number)
        assert bench.stderr is not None
        said = bench.stderr.read()
        bench.wait()
        until(lambda: not marked(token))
        assert number == signal.SIGKILL or f"ended by {number.name}" in said
    finally:
        bench.kill()
        bench.wait()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


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
