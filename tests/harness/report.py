"""What a run says: one line of progress at a terminal, and at the end what was skipped and
which walls stand. In a log pytest's own lines are plain enough."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Any, Iterator

import pytest


def progress(config: pytest.Config) -> "list[Progress]":
    """Not where pytest has been asked for more, or for less."""
    option = config.option
    other = (option.verbose or option.capture == "no" or option.collectonly or option.usepdb
             or option.setupshow or hasattr(config, "workerinput"))
    wanted = (not other and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
              and config.pluginmanager.hasplugin("terminalreporter"))
    return [Progress(config)] if wanted else []


class Progress:
    """At a terminal: one line that is written again and again. A failure leaves a line."""

    def __init__(self, config: pytest.Config) -> None:
        self._reporter: Any = config.pluginmanager.getplugin("terminalreporter")
        self._reporter.showfspath = False  # instead of pytest's dots
        self._done = self._all = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._all = len(session.items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._done += 1
        count = f"{self._done}/{self._all}" if self._all else f"{self._done}"
        self._show(f"[{count}] {readable(nodeid)}")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_report_teststatus(self) -> Iterator[None]:
        """Counted as ever, but without a letter."""
        outcome: Any = yield
        category, _, word = outcome.get_result()
        outcome.force_result((category, "", word))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._show("")
            self._reporter._tw.line(f"failed: {readable(report.nodeid)}", red=True)

    def pytest_sessionfinish(self) -> None:
        self._show("")

    def _show(self, text: str) -> None:
        width = self._reporter._tw.fullwidth - 1
        self._reporter._tw.write(f"\r\x1b[K{text[:width]}", flush=True)


def readable(nodeid: str) -> str:
    """server/test_echo.py::test_one_message_comes_back[03-select] as a sentence."""
    path, _, name = nodeid.partition("::")
    test, _, parameters = name.partition("[")
    sentence = test.replace("test_", "", 1).replace("_", " ")
    where = "/".join(path.split("/")[-2:]).replace("test_", "").replace(".py", "")
    return f"{where}: {sentence}" + (f" [{parameters}" if parameters else "")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Skips by their reason, and the walls."""
    skipped: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        skipped[str(reason).replace("Skipped: ", "", 1)] += 1
    walls = terminalreporter.stats.get("xfailed", ())
    if walls:
        terminalreporter.write_line("\nthe walls stand, each where its chapter ends:")
    for report in walls:
        terminalreporter.write_line(f"  {readable(report.nodeid)}\n      no: {report.wasxfail}")
    if skipped:
        terminalreporter.write_line("\nnot tried here:")
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"  {count:3} {reason}")
