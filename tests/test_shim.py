"""A handful of visits with a libc that is less kind than the usual one: calls that move one byte,
calls that are interrupted, calls that say "not now". tests/shim/shim.c tells why that is fair.

    SHIM='cut=1' pytest tests/    the whole suite so; make test-thorough does it in five ways
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import StartServer
from support import shims
from support.chapters import REPOSITORY, Chapter
from support.servers import SANITIZER, Server
from support.story import Story
from support_clients.clients import StartClient
from support_clients.wrong_servers import StartPythonServer, echo

pytest_plugins = "support_clients.fixtures"
pytestmark = [
    pytest.mark.ours_only("its own ways with the shim; SHIM=... goes with --server as well"),
    pytest.mark.skipif(bool(SANITIZER or shims.WORDS), reason="SAN or SHIM is set already"),
]

THOROUGH = os.environ.get("THOROUGH", "") not in ("", "0")
MODES = ["cut=1", "eintr=2", "eagain=2", "cut=1 eintr=3 eagain=3"]
WHOLE_RUNS = ["cut=1", "cut=1000", "eintr=2", "eagain=2", "cut=1 eintr=3 eagain=3"]

in_every_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))


@pytest.mark.fault(13)
@in_every_mode
def test_a_server_under_the_shim_echoes_and_says_goodbye(
        start_server: StartServer, story: Story, chapter: Chapter, mode: str,
        tmp_path: Path) -> None:
    note = tmp_path / "note"
    server = start_server(shim=mode, note=str(note))
    with server.paused():
        guest = server.guest()
        guest.send(random.Random(1).randbytes(5000))
        guest.finish()
    guest.expect_goodbye()
    crowd = server.crowd(20)
    if chapter.at_once:
        crowd.say_at_once([random.Random(i).randbytes(10 * i) for i in range(20)])
    crowd.leave()
    server.guest(receive_buffer=4096).reset()
    server.serves_a_new_guest()
    if chapter.clean_goodbye:
        server.signal(signal.SIGTERM)
        server.expect_end(0)
    _expect_lies(story, note, mode, chapter.clean_goodbye)


@in_every_mode
@pytest.mark.parametrize("arguments, stdin", [
    pytest.param(["x" * 5000], b"", id="message"),
    pytest.param(["-"], random.Random(2).randbytes(5000), id="conversation"),
    pytest.param(["--guests", "10", "--rounds", "2"], b"", id="crowd"),
])
def test_a_client_under_the_shim_has_its_echo(
        server: Server, start_client: StartClient, story: Story, chapter: Chapter, mode: str,
        tmp_path: Path, arguments: list[str], stdin: bytes) -> None:
    note = tmp_path / "note"
    client = start_client("--port", server.port, *arguments, stdin=stdin, shim=mode,
                          note=str(note))
    client.expect_success()
    story.check(not stdin or client.out == stdin, "the same bytes on stdout as on stdin",
                f"there are {len(client.out)}, and they differ")
    _expect_lies(story, note, mode, chapter.clean_goodbye and arguments[0] != "x" * 5000)


@in_every_mode
def test_a_keyboard_under_the_shim_is_heard(
        start_client: StartClient, start_python_server: StartPythonServer, mode: str) -> None:
    server = start_python_server(echo)
    client = start_client("--port", server.port, "-", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, shim=mode)
    for number in range(10):
        line = b"this is line %d\n" % number
        client.type(line)
        client.expect_echo(line)
    client.hang_up()
    client.expect_success()


def _expect_lies(story: Story, note: Path, mode: str, never_waits: bool) -> None:
    """A shim that does nothing would pass everything. EAGAIN is for those only who never wait."""
    told = note.read_text(encoding="utf-8").split() if note.exists() else []
    meant = [rule.partition("=")[0] for rule in mode.split()]
    meant = [rule for rule in meant if rule != "eagain" or never_waits]
    story.check(set(meant) <= set(told), f"the shim to have done all of {meant}", f"it did {told}")


def test_what_is_unfit_for_the_shim_exists() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py"))
    gone = [name for rule in shims.UNFIT.values() for name in rule if f"def {name}(" not in tests]
    assert not gone, f"support/shims.py names tests that do not exist: {gone}"


@pytest.mark.skipif(not THOROUGH, reason="only in the thorough run: THOROUGH=1")
@pytest.mark.parametrize("mode", WHOLE_RUNS, ids=lambda mode: mode.replace(" ", "-"))
def test_the_whole_suite_under_the_shim(mode: str) -> None:
    """All tests of servers and clients, at every chapter, in a pytest of their own."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(REPOSITORY / "tests"), "-p", "no:cacheprovider",
         "-k", "test_server or test_client"], stdin=subprocess.DEVNULL, text=True, check=False,
        env={**os.environ, "SHIM": mode, "THOROUGH": "", "JOBS": "2"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = ran.stdout.splitlines()
    print(f"SHIM='{mode}': {lines[-1] if lines else 'nothing'}")
    if ran.returncode != 0:
        pytest.fail(ran.stdout[-20_000:], pytrace=False)
