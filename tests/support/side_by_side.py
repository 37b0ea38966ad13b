"""Runs the test files side by side, in as many processes as there are cores.

Most tests wait for something: a time-out, a process that ends, a core that must stay calm. A
few processes that wait at the same time make the suite as quick as its readers would like.
Each takes the next file when it is done with one; what it finds out it sends to the parent,
who reports as if he had run it himself. JOBS=1 runs everything in one process, in order.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import sys
import traceback
from typing import Iterator, NoReturn, Optional

import pytest

from support import facts

ENOUGH = 60  # fewer tests than this are not worth another process


def jobs(session: pytest.Session) -> int:
    config = session.config
    if config.option.collectonly or config.option.usepdb or len(session.items) < ENOUGH:
        return 1
    return int(os.environ.get("JOBS", 0)) or min(4, 1 + len(os.sched_getaffinity(0)))


def files(session: pytest.Session) -> list[list[pytest.Item]]:
    """The items of each file, the files with most tests first."""
    groups = [list(items) for _, items in itertools.groupby(session.items, lambda i: i.path)]
    return sorted(groups, key=len, reverse=True)


class Messenger:
    """In the child: sends each report through the pipe, a line of JSON each."""

    def __init__(self, config: pytest.Config, pipe: int) -> None:
        self._config, self._pipe = config, pipe

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self.send(data)

    def send(self, data: object) -> None:
        line = json.dumps(data).encode() + b"\n"
        while line:
            line = line[os.write(self._pipe, line):]


def _items_of_next_files(groups: list[list[pytest.Item]], queue: int) -> Iterator[pytest.Item]:
    """The queue is a pipe with a byte for each file: whoever reads it has the file."""
    while taken := os.read(queue, 1):
        yield from groups[taken[0]]


def _be_a_child(session: pytest.Session, groups: list[list[pytest.Item]], queue: int,
                pipe: int, number: int) -> NoReturn:
    config = session.config
    messenger = Messenger(config, pipe)
    status = 1
    try:
        config.pluginmanager.unregister(name="terminalreporter")
        capture = config.pluginmanager.getplugin("capturemanager")
        capture.stop_global_capturing()  # its file is the parent's
        capture.start_global_capturing()
        config.pluginmanager.register(messenger)
        facts.take_ports_of_our_own(number)
        items = _items_of_next_files(groups, queue)
        item = next(items, None)
        while item is not None:
            following = next(items, None)
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
        messenger.send("all done")
        status = 0
    except BaseException:  # nobody else is there to tell it
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def _start_child(session: pytest.Session, groups: list[list[pytest.Item]], queue: int,
                 number: int) -> int:
    """Returns the end of the pipe that its reports come through."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        _be_a_child(session, groups, queue, writing, number)
    os.close(writing)
    return reading


def _report(session: pytest.Session, line: bytes) -> bool:
    """Returns whether this was the child's last word."""
    data = json.loads(line)
    if data == "all done":
        return True
    config = session.config
    if isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])  # why it was skipped; JSON has no tuples
    report = config.hook.pytest_report_from_serializable(config=config, data=data)
    if report.when == "setup":
        config.hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
    config.hook.pytest_runtest_logreport(report=report)
    if report.when == "teardown":
        config.hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
    return False


def _listen(session: pytest.Session, pipes: list[int]) -> None:
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(os.fdopen(pipe, "rb", buffering=0), selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _ in selector.select():
                news = os.read(key.fd, 1 << 16)
                key.data.extend(news)
                *lines, rest = key.data.split(b"\n")
                key.data[:] = rest
                finished = [_report(session, line) for line in lines]
                if True in finished:
                    selector.unregister(key.fileobj)
                elif not news:
                    raise pytest.UsageError("a process that ran tests has ended early")


def run(session: pytest.Session) -> Optional[bool]:
    """For pytest_runtestloop: True when the tests have been run here."""
    count = jobs(session)
    if count == 1:
        return None
    groups = files(session)
    queue, tickets = os.pipe()
    os.write(tickets, bytes(range(len(groups))))
    os.close(tickets)
    _listen(session, [_start_child(session, groups, queue, i) for i in range(count)])
    for _ in range(count):
        os.wait()
    if session.testsfailed:
        raise session.Failed(f"{session.testsfailed} tests have failed")
    return True
