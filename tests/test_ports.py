"""Two runs of these tests beside each other, on one machine, must not get into each other's way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import facts

NEXT_FREE = ("import itertools, sys; from support import facts; "
             "facts._candidates = itertools.count(int(sys.argv[1])); print(facts.free_port())")


def test_a_port_that_one_run_has_taken_is_not_given_to_another() -> None:
    port = facts.free_port()
    said = subprocess.run([sys.executable, "-c", NEXT_FREE, str(port)], cwd=Path(__file__).parent,
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    assert int(said) > port
