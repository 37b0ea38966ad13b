"""A pytest plugin for mutants.py: first the tests that are named in the file MUTANTS_ORDER, in that
order. What comes of each is written to MUTANTS_LOG at once, so that a run that hangs says where."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from changes import general


def _write(*words: object) -> None:
    with open(os.environ["MUTANTS_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(words) + "\n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    names = Path(os.environ["MUTANTS_ORDER"]).read_text(encoding="utf-8").splitlines()
    rank = {name: number for number, name in enumerate(names)}
    items.sort(key=lambda item: rank.get(general(item.nodeid), len(rank)))


def pytest_runtest_logstart(nodeid: str) -> None:
    _write(nodeid, "started", 0)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _write(report.nodeid, report.outcome, report.duration)
