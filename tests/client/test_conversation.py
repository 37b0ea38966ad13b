"""`./client -`: what comes on stdin goes to the server, and its echo goes to stdout."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest

from harness import proc
from harness.chapters import VARIANT
from harness.client import MIB, random_bytes
from harness.peer import ClientProgram
from harness.story import Story
from harness.visits import MODES, adds, ends, in_pieces, resets, silent

pytestmark = pytest.mark.of_clients
ours = pytest.mark.ours_only("its clients")

LINES = (b"good evening\n", b"\n", b"\x00\xff %s \xc3\xbc without a line's end", b"good night\n")
BOTH = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


# ---- files and pipes -----------------------------------------------------------------------

@pytest.mark.no_inject("megabytes, byte by byte", "cut")
@pytest.mark.fault(7)
def test_a_big_file_comes_back_whole_and_in_bounded_memory(server, chapter, start_client, story):
    big = random_bytes(4, 16 * MIB)
    client = start_client("-", peer=server, stdin=big, stdout=subprocess.PIPE)
    copy = client.hear(len(big) - 128 * 1024)  # the rest does not fit into a pipe
    memory = proc.peak_memory(client.process.pid)
    copy += client.hear(len(big))
    client.expect_success()
    story.check(copy == big, "the same bytes on stdout as on stdin", "they differ")
    story.check(chapter.is_foreign or VARIANT != "plain" or memory < 8 * MIB,
                "less than 8 MiB of memory in use", f"it used {memory / MIB:.1f}")


@pytest.mark.fault(62)
def test_nothing_at_all_is_a_conversation_too(server, start_client):
    start_client("-", peer=server, shell="</dev/null").expect_success(b"")


@pytest.mark.fault(62)
@ours
def test_a_stdin_that_cannot_be_read_is_reported(server, start_client):
    for stdin, words in (("<&-", "Bad file descriptor"), ("</", "Is a directory")):
        client = start_client("-", peer=server, shell=f"exec {stdin}")
        client.expect_failure(f"client: stdin: {words}")


def test_an_echo_in_pieces_or_late_is_still_an_echo(start_client, start_peer):
    data = random_bytes(6, 10_000)
    start_client("-", peer=start_peer(in_pieces), stdin=data).expect_success(data)


@pytest.mark.no_inject("megabytes, byte by byte", "cut")
@ours
def test_when_nobody_reads_its_stdout_any_more_it_ends(server, start_client, story):
    """`./client - <big.bin | head -c 1000`"""
    client = start_client("-", peer=server, stdin=bytes(4 * MIB), stdout=subprocess.PIPE)
    client.hear(1000)
    story.tell("read 1000 bytes of its stdout and closed it")
    client.process.stdout.close()
    client.expect_failure("client: stdout: Broken pipe")


@pytest.mark.no_inject("megabytes, byte by byte", "cut")
@pytest.mark.fault(68)
def test_a_stdout_that_is_non_blocking_and_slow_gets_every_byte(server, start_client, story):
    data = random_bytes(8, 8 * MIB)
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    story.tell("made a pipe whose writing end is non-blocking, for its stdout")
    client = start_client("-", peer=server, stdin=data, stdout=writes)
    os.close(writes)
    copy = bytearray()
    with open(reads, "rb", buffering=0) as pipe:
        while part := pipe.read(MIB):
            copy += part
            time.sleep(0.0005)  # slower than the client
    client.expect_success()
    story.check(copy == data, "the same bytes on stdout as on stdin",
                f"there are {len(copy)} of {len(data)}")


# ---- at a keyboard -------------------------------------------------------------------------

def expect_idle(client: ClientProgram, story: Story) -> None:
    """Nobody types. One look at its CPU without load is enough: what spins has none."""
    for _ in range(3):
        awake, start = proc.awake_seconds([client.process.pid]), time.monotonic()
        time.sleep(0.1)
        awake = proc.awake_seconds([client.process.pid]) - awake
        if awake < 0.2 * (time.monotonic() - start):
            return
    story.fail("a client that sleeps while nobody types", f"it used {awake:.2f} of 0.1 seconds")


def test_at_the_keyboard_each_line_is_answered_before_the_next(server, start_client, story):
    """Or is sent while echoes are still owed, where somebody types faster."""
    client = start_client("-", peer=server, **BOTH)
    for line in LINES:
        client.type(line)
        client.expect_echo(line)
    expect_idle(client, story)
    pieces = [b"%d," % number for number in range(300)]
    with story.summed_up(f"typed {len(pieces)} pieces without waiting for an echo"):
        for piece in pieces:
            client.type(piece)
    client.expect_echo(b"".join(pieces))
    client.end_input()
    client.expect_success()


@pytest.mark.fault(62)
def test_a_stdin_that_is_non_blocking_is_a_keyboard_like_any_other(server, start_client, story):
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    story.tell("made a pipe whose reading end is non-blocking, for its stdin")
    client = start_client("-", peer=server, stdin=reads, stdout=subprocess.PIPE)
    os.close(reads)
    with open(writes, "wb", buffering=0) as keyboard:
        for line in (*LINES, random_bytes(9, 300_000)):
            proc.eventually(lambda: proc.state(client.process.pid) == "S", 1)  # has found nothing
            feeder = threading.Thread(target=keyboard.write, args=(line,), daemon=True)
            feeder.start()
            client.expect_echo(line)
            feeder.join()
        expect_idle(client, story)
    client.expect_success()


def test_at_a_terminal_until_ctrl_d(server, start_client, terminal, story):
    """A terminal made non-blocking would stay so for the shell, which ends at the next read."""
    keyboard = terminal()
    client = start_client("-", peer=server, stdin=keyboard.inside, stdout=subprocess.PIPE)
    for line in (b"good evening\n", b"good night\n"):
        keyboard.type(line)
        client.expect_echo(line)
        story.check(os.get_blocking(keyboard.inside), "a terminal that blocks, as before",
                    "the client has made it non-blocking")
    keyboard.type(b"\x04")  # Ctrl-D
    client.expect_success()


RESET = "after 13 bytes of echo: Connection reset by peer"


@pytest.mark.parametrize("script, line, words, of_01", [
    pytest.param(ends(0), b"", "closed the connection after 0 of 0 bytes",
                 "closed the connection after 0 of 3 bytes", id="ends"),
    pytest.param(resets(13), b"good evening\n", f"read {RESET}", RESET, id="resets",
                 marks=ours),
    pytest.param(adds(0), b"", "extra byte at offset 0", "extra byte at offset 3", id="adds",
                 marks=ours),
])
def test_a_keyboard_left_alone_is_no_reason_to_miss_the_servers_end(
        chapter, start_client, start_peer, script, line, words, of_01):
    """Or a reset, or a byte too many: to listen to two things at once is the lesson. 01 can
    only take turns, and hears of them when the next line is typed."""
    peer = start_peer(script)
    client = start_client("-", peer=peer, **BOTH)
    peer.expect_connections(1)
    if line:
        client.type(line)
        client.expect_echo(line)
    if chapter.one_at_a_time:
        client.type(b"Hi\n")
    client.expect_failure(of_01 if chapter.one_at_a_time else words)


# ---- signals -------------------------------------------------------------------------------

@ours
@pytest.mark.fault(63, happened="ends")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_and_its_parent_can_see_that(start_client, start_peer, number):
    """Also where its parent had blocked the signal. A shell goes on with a loop after "exit 130",
    but not after a death by SIGINT."""
    for mode in MODES:
        peer = start_peer(silent)
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        try:
            client = mode.start(start_client, peer=peer, stdin=subprocess.PIPE)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        peer.expect_connections(1)
        client.signal(number)
        client.expect_exit(-number)


@ours
@pytest.mark.fault(70, happened="stays ignored")
def test_a_signal_that_was_ignored_at_its_start_stays_ignored(server, start_client):
    client = start_client("-", peer=server, shell="trap '' INT", **BOTH)
    for line in (b"good evening\n", b"good night\n"):
        client.type(line)
        client.expect_echo(line)
        client.signal(signal.SIGINT)
    client.end_input()
    client.expect_success()
