"""Each call of each program fails: the first time, the second ... until a run does not get there.

The errors are those of the call's manual page; table.py has them, and what may come of each.
pytest tests/ tries the most frequent one, THOROUGH=1 all:

    THOROUGH=1 pytest tests/inject -k 'server and 04-epoll' -s
"""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator

import pytest

import inject
from harness import proc
from harness.chapters import VARIANT, Chapter, program
from harness.machine import THOROUGH
from harness.peer import echo
from harness.story import Story
from harness.visits import StartPeer, StartServer
from inject.runs import ERRANDS, SERVED, TURNED_AWAY, Run, run_client, run_server
from inject.table import CLIENT, OTHER, SERVER, Table, most_frequent

pytestmark = [
    pytest.mark.ours_only("what it does when calls fail"),
    pytest.mark.skipif(bool(VARIANT != "plain" or inject.RULES), reason="SAN or INJECT is set"),
]

AT_ONCE = 8  # runs; most of the time they wait


def _fail_each(story: Story, table: Table, directory: Path, run: Callable[[str, Path], Run],
               is_right: Callable[[Run, bool, bool], bool]) -> None:
    """`run` takes the rules, and the file in which the shim notes that they have applied."""

    def attempts(call: str) -> Iterator[tuple[bool, str]]:
        errors = list(table[call]) if THOROUGH else most_frequent(table[call])
        for number in range(1, 1000 if errors else 1):
            for error in errors:
                name, stays, _ = error.partition("+")
                rules = f"{call}:{getattr(errno, name)}@{number}{stays}"
                note = directory / rules
                result = run(rules, note)
                if not note.exists():
                    return
                yield (is_right(result, table[call][error], bool(stays)),
                       f"{call} number {number} failed with {error}: {result}")

    with ThreadPoolExecutor(AT_ONCE) as threads:
        tried = [attempt for found in threads.map(lambda call: list(attempts(call)), table)
                 for attempt in found]
    wrong = [text for fine, text in tried if not fine]
    print(f"{len(tried)} injected errors, {len(wrong)} went wrong")
    story.tell(f"let a call fail in {len(tried)} runs, another one in each")
    story.check(not wrong, "each to end well", f"{len(wrong)} did not:\n" + "\n".join(wrong[:30]))


@pytest.mark.fault(11, 12, 13)
@pytest.mark.fault(27, 64, happened="exit 1 at start, turned away later")
def test_when_a_call_of_a_server_fails_one_connection_suffers_at_most(
        chapter: Chapter, story: Story, tmp_path: Path) -> None:
    inject.environment("cut=1"), program(chapter, "server")  # built before there are threads
    usual = run_server(chapter, "", tmp_path)

    def is_right(run: Run, unnoticed: bool, stays: bool = False) -> bool:
        if not run.right:
            return not unnoticed and run.status == 1 and run.stderr.startswith("server: ")
        turned_away = run.peers.count(TURNED_AWAY)
        return (run.ended is None and run.calm and run.descriptors <= usual.descriptors
                and run.status == (0 if chapter.clean_end else -15)
                and run.peers.count(SERVED) + turned_away == len(run.peers)
                and turned_away <= (0 if unnoticed else 4 if stays else 1)
                and bool(run.stderr or not turned_away))

    story.check(is_right(usual, True), "a run in which nothing fails to be right", f"{usual}")
    _fail_each(story, SERVER, tmp_path, lambda rules, note: run_server(chapter, rules, note),
               is_right)


@pytest.mark.promise("level_triggered")
def test_a_socket_that_epoll_cannot_watch_for_room_is_reported(
        start_server: StartServer, story: Story, tmp_path: Path) -> None:
    """In the runs above every echo finds room, so that epoll never hears of a change."""
    note = tmp_path / "note"
    fifth = f"epoll_ctl:{errno.ENOMEM}@5"  # after the signals, the listener and two clients
    server = start_server(env=inject.environment(fifth, str(note)))
    other, stuck = server.client(), server.client(receive_buffer=16 * 1024)
    name = stuck.own_address
    server.log.expect(f"New connection from: {name}")
    story.check(not note.exists(), "epoll to hear of four descriptors", "there was a fifth call")
    story.tell("sent without end to the second, and read nothing, until its connection ended")
    stuck.socket.settimeout(proc.PATIENCE)
    with pytest.raises(ConnectionError):
        while True:
            stuck.socket.send(bytes(64 * 1024))
    server.errors.expect("Failed to watch socket; err = Cannot allocate memory")
    server.log.expect(f"Connection closed by {name}")
    other.say(b"are you still there?")
    other.finish()


@pytest.mark.of_clients
@pytest.mark.fault(13)
@pytest.mark.fault(27, happened="the client: exit 1")
@pytest.mark.parametrize("errand", ERRANDS)
def test_when_a_call_of_a_client_fails_it_says_so(
        chapter: Chapter, story: Story, tmp_path: Path, start_peer: StartPeer,
        errand: str) -> None:
    inject.environment("cut=1"), program(chapter, "client")

    def is_right(run: Run, unnoticed: bool, stays: bool = False) -> bool:
        if run.status == 0:
            return run.right and not run.stderr
        return (not unnoticed and run.status == 1 and run.stderr.startswith("client: ")
                and run.stderr.count("\n") == 1 and "no progress" not in run.stderr)

    port = start_peer(echo).port
    usual = run_client(chapter, errand, port, "", tmp_path)
    story.check(is_right(usual, True), "a run in which nothing fails to be right", f"{usual}")
    _fail_each(story, CLIENT, tmp_path,
               lambda rules, note: run_client(chapter, errand, port, rules, note), is_right)


@pytest.mark.parametrize("name", ["server", "client"])
def test_the_table_knows_every_call_that_can_fail(chapter: Chapter, name: str) -> None:
    """A call that is new in a program wants a line in inject.c and in table.py."""
    listed = proc.run(["nm", "-D", "--undefined-only", str(program(chapter, name))])
    if listed.returncode != 0:
        pytest.skip("nm cannot list the calls here")
    calls = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    unknown = {call for call in calls - set(SERVER) if not OTHER.fullmatch(call)}
    assert not unknown, f"not in table.py: {', '.join(sorted(unknown))}"
