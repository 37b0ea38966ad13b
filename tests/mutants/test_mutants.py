"""`make test-thorough` runs mutants.py itself; here is only what is quick."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.ours_only("about these tests")


def test_each_explanation_is_of_a_line_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from changes import all_changes
    explained = [line for line in (HERE / "survivors.txt").read_text("utf-8").splitlines()
                 if line and not line.startswith("#")]
    stale = set(explained) - {change.name for change in all_changes(HERE.parents[1])}
    assert not stale, "survivors.txt explains what mutants.py cannot do:\n" + "\n".join(stale)
