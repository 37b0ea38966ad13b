"""The thorough run plants a few mutants; mutants.py by hand plants as many as you like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.thorough, pytest.mark.ours_only("about these tests")]


def test_every_mutant_is_found_or_explained() -> None:
    ran = subprocess.run([sys.executable, str(Path(__file__).parent / "mutants.py"), "--count",
                          "24"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False)
    assert ran.returncode == 0, ran.stdout
