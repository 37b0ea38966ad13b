"""The words of the contract, and a log that must never get in anybody's way."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from typing import Iterator

import pytest

from harness.machine import needs_root
from harness.server import Server
from harness.story import Story

ours = pytest.mark.ours_only("the words of its log")
goes_on = "served, lines are lost"


@ours
def test_the_log_reports_the_listener_and_each_connection_at_once_and_nothing_else(server, story):
    """At once: stdout is a pipe here, where a forgotten fflush() keeps everything back."""
    wanted = [f"✅ Server listening on 127.0.0.1:{server.port}"]
    server.log.expect(wanted[0])
    for _ in range(2):
        client = server.client()
        name = client.own_address
        server.log.expect(f"New connection from: {name}")
        client.say(b"good evening")
        client.finish()
        server.log.expect(f"Connection closed by {name}")
        wanted += [f"New connection from: {name}", f"Connection closed by {name}"]
    story.check(server.log.lines == wanted and not server.errors.text,
                "five lines on stdout and none on stderr", f"stdout is:\n{server.log.text}")


@ours
def test_quiet_leaves_out_the_connections(start_server, story):
    server = start_server("--quiet")
    server.serves_a_new_client()
    server.serves_a_new_client()
    client = server.client()
    client.say(b"good evening")
    client.reset()
    server.errors.expect("Failed to read from socket; err = Connection reset by peer")
    text = server.log.text
    story.check(text == f"✅ Server listening on 127.0.0.1:{server.port}\n",
                "the listening line and nothing else", f"stdout is:\n{text}")


def _come_and_go(server: Server, story: Story, count: int) -> None:
    """Each pair means five lines."""
    with story.summed_up(f"{count} clients came in turn and left, {count} others reset"):
        for _ in range(count):
            server.serves_a_new_client()
            client = server.client()
            client.say(b"bye")
            client.reset()
    server.serves_a_new_client()


@pytest.mark.fault(50, happened=goes_on)
@pytest.mark.parametrize("when", ["from-the-start", "at-last"])
def test_a_pipe_that_is_full_stops_nobody(start_server, story, unread_pipe, when):
    """A pipe takes 64 KiB, some 700 connections long."""
    if when == "from-the-start":
        _fill(unread_pipe)
    server = start_server(stdout=unread_pipe, stderr=unread_pipe)
    _come_and_go(server, story, 50 if when == "from-the-start" else 400)


@ours
def test_the_flags_of_an_inherited_pipe_stay_as_they_are(start_server, story, unread_pipe):
    """O_NONBLOCK belongs to what the shell shares with us and with other programs."""
    start_server(stdout=unread_pipe, stderr=unread_pipe).serves_a_new_client()
    story.check(os.get_blocking(unread_pipe), "the pipe to be blocking, as it was", "it is not")


@pytest.mark.fault(50, happened=goes_on)
@pytest.mark.parametrize("log", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", ">/dev/full 2>&1"])
def test_a_log_that_cannot_be_written_stops_nobody(start_server, story, log):
    """With stdout closed the first socket could become descriptor 1: then a client would be
    sent the log."""
    server = start_server(shell=log)
    crowd = server.crowd(3)
    crowd[0].say(b"good evening")
    crowd[0].reset()
    for client in crowd[1:]:
        client.say(b"good night")
        client.finish()
    server.serves_a_new_client()


@pytest.mark.fault(57, happened=goes_on)
def test_a_log_at_its_size_limit_stops_nobody(start_server, story, tmp_path):
    """SIGXFSZ ends a process that writes beyond it."""
    log = tmp_path / "log"
    with open(log, "wb") as file:
        server = start_server(shell="ulimit -f 8", stdout=file, stderr=file)
        _come_and_go(server, story, 100)
    story.check(log.stat().st_size <= 8192, "the limit to hold", f"{log.stat().st_size} bytes")


@pytest.mark.fault(56, happened=goes_on)
@pytest.mark.parametrize("how", ["unread", "stopped"])
def test_a_terminal_that_nobody_reads_stops_nobody(start_server, story, terminal, how):
    """Unread, or stopped by Ctrl-S. Such a terminal says that it can be written, and then the
    write sleeps; for ever, unless it is non-blocking."""
    screen = terminal(read=how == "stopped")
    server = start_server(stdout=screen.inside, stderr=screen.inside)
    if how == "stopped":
        server.serves_a_new_client()
        termios.tcflow(screen.inside, termios.TCOOFF)
        story.tell("stopped the terminal, as Ctrl-S does")
    _come_and_go(server, story, 300)
    server.signal(signal.SIGTERM)
    server.expect_exit(0, -signal.SIGTERM)


# As su does: the terminal is ours, but its file belongs to root and cannot be opened again.
# The program is opened before, as it may be in a directory that nobody else may enter.
_AS_NOBODY = """
import fcntl, os, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
program = os.open(sys.argv[1], os.O_RDONLY)
os.setgroups([]), os.setgid(65534), os.setuid(65534)
os.execve(program, sys.argv[1:], os.environ)
"""


@ours
@pytest.mark.fault(56, happened=goes_on)
def test_a_terminal_that_belongs_to_another_user_stops_nobody(terminal, start_server, story):
    """Our own terminal is /dev/tty, too, which everybody may open."""
    needs_root()
    screen = terminal()
    os.fchmod(screen.inside, 0o620)
    server = start_server(prefix=[sys.executable, "-c", _AS_NOBODY], stdout=screen.inside,
                          stderr=screen.inside)
    server.serves_a_new_client()
    log = os.readlink(f"/proc/{server.process.pid}/fd/1")
    story.check(log == "/dev/tty", "its log to go to /dev/tty", f"it goes to {log}")
    termios.tcflow(screen.inside, termios.TCOOFF)
    story.tell("stopped the terminal, as Ctrl-S does")
    _come_and_go(server, story, 20)
    server.signal(signal.SIGTERM)
    server.expect_exit(0, -signal.SIGTERM)


@pytest.fixture
def unread_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    yield writer
    os.close(writer)
    os.close(reader)


def _fill(pipe: int) -> None:
    fcntl.fcntl(pipe, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    os.set_blocking(pipe, False)
    try:
        while True:
            os.write(pipe, b".")
    except BlockingIOError:
        os.set_blocking(pipe, True)
