"""For tests that do little but wait: what they wait for begins before the first test of the run.

    @pytest.mark.early(begin=begin)
    def test_it_ends_after_five_seconds(early, chapter): ...

`begin` is called with those parameters of the test that it names, for example `chapter`; `early`
is what it returned, and its stop() is called after the test. It must tell a story of its own.
"""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator, Optional

import pytest


class Begun:
    """What one test waits for; or why that could not begin, which belongs to the test."""

    def __init__(self, item: pytest.Item) -> None:
        mark = item.get_closest_marker("early")
        assert mark, "`early` needs the mark early(begin=...)"
        begin: Callable[..., Any] = mark.kwargs["begin"]
        values = item.callspec.params if hasattr(item, "callspec") else {}
        self.made, self.trouble = None, None  # type: Any, Optional[BaseException]
        try:
            self.made = begin(**{name: values[name] for name in inspect.signature(begin).parameters})
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as trouble:
            self.trouble = trouble

    def stop(self) -> None:
        made, self.made = self.made, None
        if made is not None:
            made.stop()


_begun: "dict[str, Begun]" = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    """An xdist worker does not know yet which tests are its own: there each begins when it runs."""
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    for item in session.items:
        if item.get_closest_marker("early") and not item.get_closest_marker("skip"):
            _begun[item.nodeid] = Begun(item)


@pytest.fixture
def early(request: pytest.FixtureRequest) -> Iterator[Any]:
    begun = _begun.pop(request.node.nodeid, None) or Begun(request.node)
    try:
        if begun.trouble:
            raise begun.trouble
        yield begun.made
    finally:
        begun.stop()


def pytest_sessionfinish() -> None:
    """Those whose test has not run, all at once: the end of a namespace takes a second or two."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(Begun.stop, _begun.values()))
    _begun.clear()
