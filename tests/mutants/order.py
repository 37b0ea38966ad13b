"""A pytest plugin for mutants.py: runs the tests that are named in the file MUTANTS_ORDER, in that
order, and writes what comes of each to MUTANTS_LOG at once, so that a run that hangs has said where.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

started: "set[str]" = set()


def _write(*words: object) -> None:
    with open(os.environ["MUTANTS_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(words) + "\n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    if "MUTANTS_ORDER" in os.environ:
        named = Path(os.environ["MUTANTS_ORDER"]).read_text(encoding="utf-8").splitlines()
        rank = {name: number for number, name in enumerate(named)}
        items[:] = sorted((item for item in items if item.nodeid in rank),
                          key=lambda item: rank[item.nodeid])


def pytest_runtest_logstart(nodeid: str) -> None:
    started.add(nodeid)
    _write(nodeid, "started", 0)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.nodeid in started:  # another plugin may report what is no test
        _write(report.nodeid, report.outcome, round(report.duration, 2))
