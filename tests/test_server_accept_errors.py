"""accept() may fail although nothing is wrong with the door (accept(2), "Error handling"). The
errors are made by support/failing_accept.c, which the server is started with. A server that
calls the kernel without libc, as those in Go do, does not notice it, and passes."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import StartServer
from support import machine
from support.servers import Server
from support.story import Story

pytestmark = pytest.mark.no_sanitizer("its library must be loaded first")

SOURCE = Path(__file__).parent / "support" / "failing_accept.c"

# What it is about, and the errors that say so.
ERRORS = {
    "the-guest-is-gone": [errno.ECONNABORTED, errno.EPROTO],
    "his-network-is-down": [errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH],
    "a-signal-came": [errno.EINTR, errno.EINTR],
    "a-shortage": [errno.ENFILE, errno.ENOBUFS, errno.ENOMEM],
}


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS.keys())
def test_an_accept_that_fails_for_once_ends_nothing(
        start_server: StartServer, story: Story, failing_accept: Path,
        errors: list[int]) -> None:
    names = " and ".join(errno.errorcode[error] for error in errors)
    story.tell(f"made accept() fail at first, with {names}")
    numbers = " ".join(map(str, errors))
    server: Server = start_server(
        shell=f"export LD_PRELOAD={failing_accept} FAILING_ACCEPT='{numbers}'")
    with server.paused():
        crowd = server.crowd(5)
        with story.summed_up("each of them said hello"):
            for number, guest in enumerate(crowd):
                guest.send(b"hello from %d" % number)
    crowd.leave()
    server.serves_a_new_guest()


@pytest.fixture(scope="module")
def failing_accept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        machine.needs_program("cc", "gcc")
    library = tmp_path_factory.mktemp("library") / "failing_accept.so"
    subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", str(SOURCE), "-o", str(library),
                    "-ldl"], check=True)
    return library
