"""A pytest plugin for mutants.py: runs the tests named in a file, in the order of that file, and
writes down what came of each at once, so that a run that hangs has told how far it got.

    MUTANTS_ORDER   the file, a test id a line; without it every test that -k selects
    MUTANTS_LOG     gets a line of JSON when a test starts and at each of its results
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def _write(**words: object) -> None:
    with open(os.environ["MUTANTS_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(words) + "\n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "MUTANTS_ORDER" not in os.environ:
        return
    wanted = Path(os.environ["MUTANTS_ORDER"]).read_text(encoding="utf-8").splitlines()
    rank = {name: number for number, name in enumerate(wanted)}
    left_out = [item for item in items if item.nodeid not in rank]
    config.hook.pytest_deselected(items=left_out)
    items[:] = sorted((item for item in items if item.nodeid in rank),
                      key=lambda item: rank[item.nodeid])


def pytest_runtest_logstart(nodeid: str) -> None:
    _write(test=nodeid, started=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _write(test=report.nodeid, outcome=report.outcome, seconds=round(report.duration, 2))
