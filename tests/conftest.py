"""Which tests run for which chapter, and the three fixtures that all of them use.

    pytest tests/                              every chapter
    pytest tests/ -k 03-select                 one of them
    SAN=address pytest tests/                  built with a sanitizer
    SHIM=cut=1 pytest tests/                   with a libc that is less kind: support/shims.py
    pytest tests/ --server './mine {port}'     any echo server, in any language
    pytest tests/ --client 'mine {port}'       any client that is used as `nc` is: from its
                                               stdin to the server, and back to its stdout
"""

from __future__ import annotations

import contextlib
import resource
import shlex
import signal
import sys
from pathlib import Path
from typing import Callable, Iterator, Optional

import pytest

from support import facts, matrix, shims, side_by_side
from support.chapters import CHAPTERS, Chapter, foreign
from support.servers import SANITIZER, Server, build
from support.story import Story, WallReached

StartServer = Callable[..., Server]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", default="", metavar="COMMAND",
                     help="check this echo server instead, e.g. './mine {port}'")
    parser.addoption("--client", default="", metavar="COMMAND",
                     help="check this client instead, e.g. 'nc -N 127.0.0.1 {port}'")
    parser.addoption("--promise", action="append", default=[], choices=["clean_goodbye"],
                     help="what your server promises besides, e.g. a clean goodbye at Ctrl-C")
    matrix.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "promise(name): only for chapters with this promise in support/chapters.py",
        "ours_only(what): a promise of this project's chapters, not of every echo server",
        "wall(chapter, why): this chapter cannot pass, and that is its lesson",
        "no_sanitizer(why): means nothing in a program built with a sanitizer",
        "of_clients: checks a client, and so is for --client and not for --server",
        "fault(number, ..., happened='served', chapter=''): a row of faults.py; what came of it",
    ):
        config.addinivalue_line("markers", line)
    for option in ("--server", "--client"):
        if "{port}" not in config.getoption(option) and config.getoption(option):
            raise pytest.UsageError(f"{option} needs {{port}} where the port goes")
    if shims.WORDS and SANITIZER:
        raise pytest.UsageError("SHIM and SAN both want to come first: one of them, please")
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
    if _is_foreign(metafunc.config):
        chapter = _foreign(metafunc.config)
        parameters = [pytest.param(chapter, id=chapter.name)]
    else:
        parameters = [pytest.param(chapter, marks=_marks(metafunc, chapter), id=chapter.name)
                      for chapter in CHAPTERS if _promises(metafunc, chapter)]
    metafunc.parametrize("chapter", parameters)


def _is_foreign(config: pytest.Config) -> bool:
    return bool(config.getoption("--server") or config.getoption("--client"))


def _foreign(config: pytest.Config) -> Chapter:
    return foreign(config.getoption("--promise"), config.getoption("--client"))


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
    """What a foreign program has never promised is skipped, by name; so is what means nothing
    under the shim."""
    for item in items:
        unfit = shims.unfit(getattr(item, "originalname", item.name))
        reasons = [unfit] if unfit else []
        if _is_foreign(config):
            reasons += _reasons_to_skip(config, item)
        for reason in reasons:
            item.add_marker(pytest.mark.skip(reason=reason))


def _reasons_to_skip(config: pytest.Config, item: pytest.Item) -> Iterator[str]:
    option = "--client" if item.get_closest_marker("of_clients") else "--server"
    if not config.getoption(option):
        yield f"needs {option}"
    for mark in item.iter_markers("ours_only"):
        yield f"only for this project: {mark.args[0]}"
    for mark in item.iter_markers("promise"):
        if not getattr(_foreign(config), mark.args[0]):
            yield "not promised by every echo server"


def pytest_runtestloop(session: pytest.Session) -> Optional[bool]:
    if side_by_side.jobs(session) > 1 and not _is_foreign(session.config):
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
        options.setdefault("command", _server_command(request.config))
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


def _server_command(config: pytest.Config) -> str:
    """A foreign client visits a server that is right, unless it brings its own."""
    if config.getoption("--server") or not config.getoption("--client"):
        return str(config.getoption("--server"))
    right = Path(__file__).parent / "support" / "asyncio_echo.py"
    return shlex.join([sys.executable, str(right), "{port}"])


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
