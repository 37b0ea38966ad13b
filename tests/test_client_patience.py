"""Ten seconds without progress: then a client gives up, unless it waits for its keyboard.

All these clients wait together, so that it takes ten seconds and not minutes: see
support_clients/patience.py."""

from __future__ import annotations

import pytest

from support.chapters import Chapter
from support_clients.patience import (MANNERS, PATIENCE_OF_CLIENTS, PAUSED_ECHO, Waiting,
                                      WaitingRoom)
from support_clients.visits import Visiting, in_every_way

pytest_plugins = "support_clients.fixtures"
pytestmark = pytest.mark.of_clients


@in_every_way
@pytest.mark.parametrize("manners", MANNERS)
def test_a_server_without_progress_is_given_up(
        chapter: Chapter, waiting_room: WaitingRoom, manners: str, visiting: Visiting) -> None:
    waiting = waiting_room.find(chapter, manners, visiting.name)
    story, client = waiting.story, waiting.client
    if manners == "shut-door":
        line = client.expect_failure("connect", "Connection timed out")
    else:
        echoed = visiting.length if manners == "never-closes" else 0
        line = client.expect_failure(f"no progress for {PATIENCE_OF_CLIENTS} seconds after "
                                     f"{echoed} bytes of echo")
    story.check(chapter.is_foreign or _lasted(waiting),
                f"{PATIENCE_OF_CLIENTS} seconds of patience", f"it gave up earlier, saying: {line}")
    if visiting.is_crowd and manners != "shut-door":
        guests, echoes, errors = client.expect_report()
        story.check(errors == 1 and guests == visiting.guests,
                    "an error for the first guest only: the others had their echo",
                    f"{errors} errors are reported")


@pytest.mark.ours_only("ten seconds, exactly")
@pytest.mark.parametrize("manners", ["silent", "never-reads"])
def test_a_conversation_is_given_up_as_soon_as_a_message(
        chapter: Chapter, waiting_room: WaitingRoom, manners: str) -> None:
    """No second ten seconds because the first began before anything was owed. Both clients
    have waited at the same time, so a busy machine has delayed them both."""
    message = waiting_room.find(chapter, manners, "message")
    conversation = waiting_room.find(chapter, manners, "conversation")
    for waiting in (message, conversation):
        waiting.watcher.join()
    conversation.story.check(conversation.seconds < 1.6 * message.seconds,
                             f"an end after about {message.seconds:.0f} seconds, as with a message",
                             f"it took {conversation.seconds:.0f}")


def test_a_keyboard_may_be_idle_for_longer(chapter: Chapter, waiting_room: WaitingRoom) -> None:
    waiting = waiting_room.find(chapter, "idle-keyboard")
    client = waiting.client
    client.expect_echo(b"I shall be back\n")
    waiting_room.wait_longer_than_a_client()
    waiting.story.tell(f"left the keyboard alone for more than {PATIENCE_OF_CLIENTS} seconds")
    waiting.story.check(client.process.poll() is None,
                        "a client that still waits for its keyboard", "it has ended")
    client.type(b"Here I am\n")
    client.expect_echo(b"Here I am\n")
    client.hang_up()
    client.expect_success()


def test_who_reads_its_stdout_may_pause_for_longer(
        chapter: Chapter, waiting_room: WaitingRoom) -> None:
    """`./client - <big.bin | less`: nothing moves, but the server is not to blame."""
    waiting = waiting_room.find(chapter, "paused-reader")
    waiting_room.wait_longer_than_a_client()
    waiting.story.tell(f"read its stdout after more than {PATIENCE_OF_CLIENTS} seconds")
    copy = waiting.client.hear(len(PAUSED_ECHO) + 1)
    waiting.client.expect_success()
    waiting.story.check(copy == PAUSED_ECHO, "the same bytes on stdout as on stdin",
                        f"they differ, or are fewer than {len(PAUSED_ECHO)}: {len(copy)}")


def _lasted(waiting: Waiting) -> bool:
    """Seconds are noted by a thread, soon after the end: never too few."""
    waiting.watcher.join()
    return waiting.seconds > PATIENCE_OF_CLIENTS - 0.5
