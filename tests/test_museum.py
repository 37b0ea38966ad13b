"""The tests, tested: each wrong server of the museum must fail the one test that is about its
mistake, with words that tell it; and a server that is right must pass, in any language."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.story import Story

TESTS = Path(__file__).parent
MUSEUM = TESTS / "museum"

pytestmark = pytest.mark.ours_only("these tests are about the tests")

# The piece, the test that catches it, and what its reader is told (a regular expression).
PIECES = [
    ("short_write", "gets_everything and last_byte", "came back as|bytes too early"),
    ("closes_at_rdhup", "data_and_goodbye_in_one_burst", "60000 more bytes of echo"),
    ("ends_at_nul", "any_bytes_come_back_unchanged and NUL", "the server sent nothing"),
    ("dies_at_reset", "resets_leaves_the_next_one_served and before_any_byte", "ended with exit"),
    ("sigpipe", "writing_to_a_guest_that_is_gone and FIN-then-RST", "ended with SIGPIPE"),
    ("leaks_descriptors", "guests_who_say_nothing_leave_no_trace", "some are never closed"),
    ("spins_at_emfile", "without_descriptors_guests_wait", "it spins|words about it in the log"),
    ("dies_at_emfile", "without_descriptors_guests_wait", "Too many open files"),
    ("spins_at_hangup", "reset_of_a_stalled_guest_does_not_make_the_server_spin", "it spins"),
    ("one_accept_an_edge", "while_the_server_was_away and 16", "nothing happened for"),
    ("fd_set_overflow", "descriptors_beyond_1024_are_as_good", "SIGABRT"),
    ("unbounded_buffer", "memory_stays_bounded", "it keeps whatever comes"),
    ("blocks_on_slow_reader", "never_reads_holds_up_nobody", "it hears nothing"),
]

RIGHT = {
    "asyncio": [sys.executable, str(TESTS / "support" / "asyncio_echo.py"), "{port}"],
    "socat": ["socat", "-t30", "TCP-LISTEN:{port},fork,reuseaddr,backlog=4096", "EXEC:cat"],
}


@pytest.mark.parametrize("piece, test, words", [
    pytest.param(*row, id="museum-" + row[0].replace("_", "-")) for row in PIECES])
def test_a_wrong_server_fails_where_it_is_wrong(
        story: Story, museum: Path, piece: str, test: str, words: str) -> None:
    outcomes, output = run_tests(
        story, f"{museum / piece} {{port}}", f"one_message_comes_back or ({test})",
        patience="1.5")
    story.check(outcomes == Counter(passed=1, failed=1),
                "one message to come back, and that test to fail", f"it says:\n{output}")
    told = "After these steps:" in output and "Traceback" not in output
    story.check(told and re.search(words, output) is not None,
                f'a story with the words "{words}"', f"it says:\n{output}")


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_server_passes(story: Story, name: str) -> None:
    """A slice that takes a few seconds. The whole suite passes with asyncio; socat fails one
    test, as it watches its door with select()."""
    if shutil.which(RIGHT[name][0]) is None:
        pytest.skip(f"{RIGHT[name][0]} is not installed")
    outcomes, output = run_tests(
        story, " ".join(RIGHT[name]),
        "server_half_close or server_resets or (server_echo and not 64 and not hundred)")
    story.check(outcomes["passed"] > 20 and not outcomes["failed"] and not outcomes["error"],
                f"{name} to pass", f"it says:\n{output}")


@pytest.fixture(scope="session")
def museum() -> Path:
    made = subprocess.run(["make", "-s", "-C", str(MUSEUM)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        pytest.fail(f"the museum cannot be built:\n{made.stdout}", pytrace=False)
    return MUSEUM / "build"


def run_tests(story: Story, server: str, selection: str,
              patience: str = "15") -> tuple[Counter[str], str]:
    """Runs these very tests on a server, in a pytest of their own. How many passed, failed ..."""
    story.tell(f"ran pytest --server '{server}' -k '{selection}'")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(TESTS), "-q", "-p", "no:cacheprovider",
         "--server", server, "-k", selection],
        env={**os.environ, "TEST_PATIENCE": patience}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    outcomes: Counter[str] = Counter()
    lines = done.stdout.splitlines() or [""]
    for count, outcome in re.findall(r"(\d+) (passed|failed|errors?)", lines[-1]):
        outcomes[outcome.rstrip("s")] += int(count)
    return outcomes, done.stdout
