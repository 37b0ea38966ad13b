"""Which tests run for which chapter, and the three fixtures that all of them use.

    pytest tests/                              every chapter
    pytest tests/ -k 03-select                 one of them
    SAN=address pytest tests/                  built with a sanitizer
    pytest tests/ --server './mine {port}'     any echo server, in any language
"""

from __future__ import annotations

import contextlib
import resource
import signal
from typing import Callable, Iterator, Optional

import pytest

from support import facts, matrix, side_by_side
from support.chapters import CHAPTERS, FOREIGN, Chapter
from support.servers import SANITIZER, Server, build
from support.story import Story, WallReached

StartServer = Callable[..., Server]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", default="", metavar="COMMAND",
                     help="check this echo server instead, e.g. './mine {port}'")
    matrix.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "promise(name): only for chapters with this promise in support/chapters.py",
        "ours_only(what): a promise of this project's chapters, not of every echo server",
        "wall(chapter, why): this chapter cannot pass, and that is its lesson",
        "no_sanitizer(why): means nothing in a program built with a sanitizer",
        "fault(number, ..., happened='served', chapter=''): a row of faults.py; what came of it",
    ):
        config.addinivalue_line("markers", line)
    if "{port}" not in config.getoption("--server") and config.getoption("--server"):
        raise pytest.UsageError("--server needs {port} where the port goes")
    config.pluginmanager.register(matrix.Matrix(config))
    # 2,000 guests are 2,000 descriptors here as well.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A shell that runs pytest in the background has Ctrl-C ignored, and servers inherit that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "chapter" not in metafunc.fixturenames:
        return
    if metafunc.config.getoption("--server"):
        parameters = [pytest.param(FOREIGN, id=FOREIGN.name)]
    else:
        parameters = [pytest.param(chapter, marks=_marks(metafunc, chapter), id=chapter.name)
                      for chapter in CHAPTERS if _promises(metafunc, chapter)]
    metafunc.parametrize("chapter", parameters)


def _marks_named(metafunc: pytest.Metafunc, name: str) -> list[pytest.Mark]:
    return list(metafunc.definition.iter_markers(name))


def _promises(metafunc: pytest.Metafunc, chapter: Chapter) -> bool:
    return all(getattr(chapter, mark.args[0]) for mark in _marks_named(metafunc, "promise"))


def _marks(metafunc: pytest.Metafunc, chapter: Chapter) -> list[pytest.MarkDecorator]:
    """A wall must hold: who gets over it has outgrown his chapter (strict), and who falls
    over something else has not reached it (raises)."""
    walls = [pytest.mark.xfail(reason=mark.args[1], strict=True, raises=WallReached)
             for mark in _marks_named(metafunc, "wall") if mark.args[0] == chapter.name]
    sanitized = [pytest.mark.skip(reason=f"SAN={SANITIZER}: {mark.args[0]}")
                 for mark in _marks_named(metafunc, "no_sanitizer") if SANITIZER]
    return walls + sanitized


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a foreign server has never promised is skipped, by name."""
    for item in items if config.getoption("--server") else []:
        for mark in item.iter_markers("ours_only"):
            item.add_marker(pytest.mark.skip(reason=f"only for this project: {mark.args[0]}"))
        for mark in item.iter_markers("promise"):
            if not getattr(FOREIGN, mark.args[0]):
                item.add_marker(pytest.mark.skip(reason="not promised by every echo server"))


def pytest_runtestloop(session: pytest.Session) -> Optional[bool]:
    if side_by_side.jobs(session) > 1 and not session.config.getoption("--server"):
        for chapter in CHAPTERS:  # before there are several processes that could do it
            build(chapter)
    return side_by_side.run(session)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    matrix.label(item, outcome.get_result())  # type: ignore[attr-defined]
    matrix.label_walls(item, outcome.get_result())  # type: ignore[attr-defined]


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def start_server(request: pytest.FixtureRequest, chapter: Chapter, story: Story,
                 all_servers: list[Server]) -> Iterator[StartServer]:
    """start_server("--quiet", shell="ulimit -n 16"): see Server for what it takes."""
    servers: list[Server] = []

    def start(*arguments: str, **options: object) -> Server:
        options.setdefault("command", request.config.getoption("--server"))
        server = Server(chapter, story, *arguments, **options)  # type: ignore[arg-type]
        servers.append(server)
        all_servers.append(server)
        return server.wait_until_ready()

    request.node.servers = servers
    yield start
    with contextlib.ExitStack() as stops:  # all of them, whatever goes wrong with one
        for server in servers:
            stops.callback(server.stop)
    for server in servers:  # what was said at the very end: leaks
        server.ended = server.process.returncode
        server.expect_health()
        server.expect_closed_port()


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A server that has died meanwhile fails the test that used it."""
    outcome = yield
    if outcome.excinfo is None:  # type: ignore[attr-defined]
        for used in getattr(pyfuncitem, "servers", []):
            used.expect_health()


@pytest.fixture(scope="session")
def all_servers() -> Iterator[list[Server]]:
    """At the end no process of ours may be left. (Ports: see start_server.) Who was stopped is
    gone, as stop() has seen to it: his number may be another's by now."""
    servers: list[Server] = []
    yield servers
    sessions = facts.sessions()
    left = [server.name for server in servers
            if server.process.returncode is None and server.process.pid in sessions]
    assert not left, f"left behind: {left}"
