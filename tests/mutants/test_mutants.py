"""The thorough run plants a few mutants; mutants.py by hand plants as many as you like."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.thorough
def test_every_mutant_is_found_or_explained() -> None:
    ran = subprocess.run([sys.executable, str(HERE / "mutants.py"), "--count", "24"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
