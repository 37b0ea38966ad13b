"""`./client -`: what comes on stdin goes to the server, and its echo goes to stdout."""

from __future__ import annotations

import os
import pty
import random
import subprocess
from typing import Iterator

import pytest

from support import machine
from support.chapters import Chapter
from support.guests import describe
from support.servers import SANITIZER, Server
from support.story import Story
from support_clients.clients import Client, StartClient, peak_memory
from support_clients.wrong_servers import (StartPythonServer, echo, in_pieces, late,
                                           says_goodbye_at_once)

pytest_plugins = "support_clients.fixtures"
pytestmark = pytest.mark.of_clients

MIB = 1024 * 1024
LINES = (b"good evening\n", b"\n", b"\x00\xff %s \xc3\xbc without a line's end", b"good night\n")


def test_a_line_comes_back(
        server: Server, start_client: StartClient, story: Story) -> None:
    client = start_client("--port", server.port, "-", stdin=b"good evening\n")
    client.expect_success()
    _expect_copy(client, story, b"good evening\n")


@pytest.mark.fault(7, happened="the client reads while it writes")
def test_a_big_file_comes_back_whole_and_in_bounded_memory(
        server: Server, chapter: Chapter, start_client: StartClient, story: Story) -> None:
    big = random.Random(4).randbytes(16 * MIB)
    client = start_client("--port", server.port, "-", stdin=big, stdout=subprocess.PIPE)
    copy = client.hear(len(big) - 128 * 1024)  # what is left does not fit into a pipe
    memory = peak_memory(client.process.pid)
    copy += client.hear(len(big))
    client.expect_success()
    story.check(len(copy) == len(big), f"{len(big)} bytes on stdout", f"there are {len(copy)}")
    story.check(copy == big, "the same bytes on stdout as on stdin", "they differ")
    story.check(chapter.is_foreign or bool(SANITIZER) or memory < 8 * MIB,
                "less than 8 MiB of memory in use", f"it used {memory / MIB:.1f}")


def test_from_a_file_into_a_file(server: Server, start_client: StartClient, story: Story) -> None:
    data = random.Random(5).randbytes(3 * MIB + 1)
    client = start_client("--port", server.port, "-", stdin=data)
    client.expect_success()
    _expect_copy(client, story, data)


def test_at_the_keyboard_each_line_is_answered_before_the_next(
        server: Server, start_client: StartClient) -> None:
    client = start_client("--port", server.port, "-", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
    for line in LINES:
        client.type(line)
        client.expect_echo(line)
    client.hang_up()
    client.expect_success()


def test_at_a_terminal_until_ctrl_d(
        server: Server, start_client: StartClient, story: Story,
        terminal: tuple[int, int]) -> None:
    keyboard, inside = terminal
    client = start_client("--port", server.port, "-", stdin=inside, stdout=subprocess.PIPE)
    for line in (b"good evening\n", b"good night\n"):
        story.tell(f"typed {describe(line)} at a terminal")
        os.write(keyboard, line)
        client.expect_echo(line)
    story.tell("typed Ctrl-D")
    os.write(keyboard, b"\x04")
    client.expect_success()


def test_nothing_at_all_is_a_conversation_too(
        server: Server, start_client: StartClient, story: Story) -> None:
    client = start_client("--port", server.port, "-", shell="</dev/null")
    client.expect_success()
    _expect_copy(client, story, b"")


@pytest.mark.ours_only("the words of its client")
@pytest.mark.parametrize("stdin, words", [
    ("<&-", "Bad file descriptor"), ("</", "Is a directory")])
def test_a_stdin_that_cannot_be_read_is_told(
        server: Server, start_client: StartClient, stdin: str, words: str) -> None:
    client = start_client("--port", server.port, "-", shell=f"exec {stdin}")
    client.expect_failure("stdin", words)


@pytest.mark.parametrize("manners", [in_pieces, late], ids=["in-pieces", "late"])
def test_an_echo_in_pieces_or_late_is_still_an_echo(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        manners: object) -> None:
    data = random.Random(6).randbytes(30_000)
    server = start_python_server(manners)  # type: ignore[arg-type]
    client = start_client("--port", server.port, "-", stdin=data)
    client.expect_success()
    _expect_copy(client, story, data)


@pytest.mark.ours_only("the words of its client")
def test_when_nobody_reads_its_stdout_any_more_it_ends(
        server: Server, start_client: StartClient, story: Story) -> None:
    """`./client - <big.bin | head -c 1000`"""
    client = start_client("--port", server.port, "-", stdin=bytes(4 * MIB),
                          stdout=subprocess.PIPE)
    client.hear(1000)
    story.tell("read 1000 bytes of its stdout and closed it")
    assert client.process.stdout
    client.process.stdout.close()
    client.expect_failure("stdout", "Broken pipe")


def test_a_keyboard_left_alone_is_no_reason_to_miss_the_servers_end(
        chapter: Chapter, start_client: StartClient,
        start_python_server: StartPythonServer) -> None:
    """To listen to two things at once is the lesson. 01 can only take turns: it hears of it
    when the next line is typed."""
    server = start_python_server(says_goodbye_at_once)
    client = start_client("--port", server.port, "-", stdin=subprocess.PIPE)
    server.expect_guests(1)
    if chapter.one_at_a_time:
        client.type(b"Are you still there?\n")
    client.expect_failure("0")


def test_what_is_typed_is_sent_while_an_echo_is_still_owed(
        server: Server, start_client: StartClient, story: Story) -> None:
    """Half a line, then the rest, without waiting: nothing may be lost or changed over."""
    client = start_client("--port", server.port, "-", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
    pieces = [b"%d," % number for number in range(300)]
    with story.summed_up(f"typed {len(pieces)} pieces without waiting for an echo"):
        for piece in pieces:
            client.type(piece)
    client.expect_echo(b"".join(pieces))
    client.hang_up()
    client.expect_success()


def test_its_terminal_is_left_as_it_was(
        start_client: StartClient, start_python_server: StartPythonServer, story: Story,
        terminal: tuple[int, int]) -> None:
    """A terminal made non-blocking would stay so for the shell, which ends at the next read."""
    keyboard, inside = terminal
    server = start_python_server(echo)
    client = start_client("--port", server.port, "-", stdin=inside, stdout=subprocess.PIPE)
    os.write(keyboard, b"good evening\n")
    client.expect_echo(b"good evening\n")
    story.check(os.get_blocking(inside), "a terminal that blocks, as before",
                "the client has made it non-blocking")
    client.process.kill()
    client.process.wait()
    story.check(os.get_blocking(inside), "a terminal that blocks, as before",
                "the client has left it non-blocking")


def _expect_copy(client: Client, story: Story, data: bytes) -> None:
    story.check(client.out == data, f"{describe(data)} on stdout",
                f"there is {describe(client.out)}")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Our end, the keyboard, and the client's."""
    machine.needs_terminals()
    keyboard, inside = pty.openpty()
    yield keyboard, inside
    os.close(inside)
    os.close(keyboard)
