"""The tests, tested the other way round: what is right must pass, in any language. (That the
five chapters pass is what the rest of the suite says; for what is wrong see test_museum.py.)"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from support.inner_pytest import run_tests
from support.story import Story

TESTS = Path(__file__).parent

pytestmark = pytest.mark.ours_only("these tests are about the tests")

SERVERS = {
    "asyncio": [sys.executable, str(TESTS / "support" / "asyncio_echo.py"), "{port}"],
    "socat": ["socat", "-t30", "TCP-LISTEN:{port},fork,reuseaddr,backlog=4096", "EXEC:cat"],
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_right_server_passes(story: Story, name: str) -> None:
    """A slice that takes a few seconds. The whole suite passes with asyncio; socat fails where
    accept() does, as it ends then, and it watches its door with select()."""
    _expect_to_pass(story, name, "server", SERVERS[name], more_than=20,
                    selection="server_half_close or server_resets"
                              " or (server_echo and not 64 and not hundred)")


def test_a_right_client_passes(story: Story) -> None:
    """All but what takes ten seconds: that it loses its patience."""
    client = [sys.executable, str(TESTS / "support_clients" / "right_client.py"), "{port}"]
    _expect_to_pass(story, "right_client.py", "client", client, more_than=20,
                    selection="client and not patience")


def _expect_to_pass(story: Story, name: str, kind: str, command: list[str], selection: str,
                    more_than: int) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    outcome = run_tests(kind, " ".join(command), selection)
    story.tell(f"ran {outcome.command}")
    passed, failed = outcome.counts["passed"], outcome.counts["failed"] + outcome.counts["error"]
    story.check(passed > more_than and not failed, f"{name} to pass",
                f"it says:\n{outcome.output}")
