"""Ten seconds without progress: then a client gives up, unless it waits for its keyboard.

Their clock runs twenty times as fast (inject.c), so that ten seconds take half a second. What
they say and do is what they would say and do after ten.
"""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Callable

import pytest

import inject
from harness import proc
from harness.chapters import Chapter
from harness.client import MIB, random_bytes
from harness.peer import Script, Terminal, echo
from harness.story import Story
from harness.visits import (CONVERSATION, CROWD, FAST, MODES, TEN, Held, StartClient, StartPeer,
                            first_only, full_backlog, never_closes, never_reads, silent,
                            trickling)

pytestmark = pytest.mark.of_clients
ours = pytest.mark.ours_only("the patience of its client")


def fast() -> dict[str, str]:
    return inject.environment(f"clock={FAST} {inject.RULES}")


# ---- a server without progress -------------------------------------------------------------

@pytest.mark.parametrize("script", [silent, never_reads, never_closes])
def test_a_server_without_progress_is_given_up(
        chapter: Chapter, start_client: StartClient, start_peer: StartPeer, story: Story,
        script: Script) -> None:
    modes = (CONVERSATION,) if chapter.is_foreign else MODES
    clients = [mode.start(start_client, peer=start_peer(first_only(script)), env=fast())
               for mode in modes]
    for mode, client in zip(modes, clients):
        echoed = mode.length if script is never_closes else 0
        client.expect_failure(f"no progress for 10 seconds after {echoed} bytes of echo")
        lasted = time.monotonic() - client.started_at
        story.check(lasted > 0.9 * TEN, "ten seconds of patience", "it gave up earlier")
        if mode is CROWD:
            guests, _, errors = client.expect_report()
            story.check((guests, errors) == (mode.connections, 1), "an error for the first guest "
                        "only: the others had their echo", f"{errors} errors are reported")


@ours
def test_a_server_that_accepts_nobody_is_given_up(start_client: StartClient,
                                                  story: Story) -> None:
    with full_backlog() as port:
        clients = [start_client("--port", port, *mode.arguments, stdin=mode.stdin, env=fast())
                   for mode in MODES]
        for client in clients:
            line = client.expect_failure()
            words = f"client: connect 127.0.0.1:{port}: Connection timed out"
            story.check(line == words, f"the line '{words}'", f"it is: {line}")


@ours
def test_patience_ends_even_while_somebody_types(
        start_client: StartClient, start_peer: StartPeer, terminal: Callable[..., Terminal],
        story: Story) -> None:
    """Typing is no progress: only what comes back is."""
    keyboard = terminal()
    client = start_client("-", peer=start_peer(silent), stdin=keyboard.inside, env=fast())
    with story.summed_up("typed a line every second of the fast clock, at a terminal"):
        typing = time.monotonic()
        while client.process.poll() is None and time.monotonic() - typing < proc.PATIENCE:
            keyboard.type(b"Hello?\n")
            time.sleep(1 / FAST)  # a person at a keyboard
        story.check(client.process.poll() is not None, "the client to give up meanwhile",
                    "it goes on for as long as somebody types")
    client.expect_failure("client: no progress for 10 seconds after 0 bytes of echo")


@ours
def test_a_slow_server_is_not_given_up(start_client: StartClient, start_peer: StartPeer,
                                       story: Story) -> None:
    """Longer than ten seconds in all, but never without progress for so long."""
    peer = start_peer(trickling)
    clients = [start_client(*arguments, peer=peer, env=fast(), stdin=b"Hello, Tokio!")
               for arguments in (["Hello, Tokio!"], ["-"], ["--guests", "2", ""])]
    for client in clients:
        client.expect_success()
        story.check(time.monotonic() - client.started_at > TEN, "more than ten seconds",
                    "it was faster")


# ---- what is not the server's fault --------------------------------------------------------

@pytest.mark.fault(62)
@ours
@pytest.mark.no_inject("megabytes, byte by byte", "cut")
def test_a_keyboard_and_a_reader_of_stdout_may_pause_for_longer(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    """`./client - <big.bin | less`: nothing moves, but the server is not to blame."""
    peer, data = start_peer(echo), random_bytes(11, 2 * MIB)
    idle = start_client("-", peer=peer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=fast())
    idle.type(b"I shall be back\n")
    idle.expect_echo(b"I shall be back\n")
    paused = start_client("-", peer=peer, stdin=data, stdout=subprocess.PIPE, env=fast())
    story.tell("left both alone for more than ten seconds of their clock")
    time.sleep(1.6 * TEN)
    idle.type(b"Here I am\n")
    idle.expect_echo(b"Here I am\n")
    idle.end_input()
    idle.expect_success()
    copy = paused.hear(len(data) + 1)
    paused.expect_success()
    story.check(copy == data, "the same bytes on stdout as on stdin", f"there are {len(copy)}")


@pytest.mark.fault(59)
@ours
def test_an_answer_that_came_while_it_was_stopped_is_in_time(
        start_client: StartClient, start_peer: StartPeer, story: Story) -> None:
    """Ctrl-Z, and fg after a minute: the limit has run out, and the echo is there."""
    clients, holders = [], []
    for arguments, sockets in ((["Hello"], 1), (["-"], 1), (["--guests", "200"], 200)):
        holders.append(Held())
        clients.append(start_client(*arguments, peer=start_peer(holders[-1]), stdin=b"Hello",
                                    env=inject.environment("clock=8")))
        for _ in range(sockets):
            heard = holders[-1].received.acquire(timeout=proc.PATIENCE)
            story.check(heard, f"{sockets} messages at the peer", "some are missing")
        clients[-1].signal(signal.SIGSTOP)
        stopped = proc.eventually(lambda: proc.state(clients[-1].process.pid) == "T")
        story.check(stopped, "the client to stop", "it did not")
    time.sleep(1.4 * 10 / 8)
    for holder in holders:
        holder.go_on.set()
    story.tell("the peers answered while the clients were stopped for more than ten seconds")
    time.sleep(0.1)  # the answers are on their way; that they arrive is seen by nobody
    for client in clients:
        client.signal(signal.SIGCONT)
    for client in clients:
        client.expect_success()
