"""Which tests run for which chapter, and the fixtures that all of them use."""

from __future__ import annotations

import contextlib
import resource
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for --import-mode=importlib

from faults import plugin as faults
from harness import early, report
from harness.chapters import CHAPTERS, VARIANT, VARIANTS, Chapter, foreign
from harness.machine import THOROUGH
from harness.network import Network
from harness.peer import ClientProgram, Peer, Terminal
from harness.server import Server
from harness.story import Story, WallReached
import inject

MARKS = (
    "promise(name): only for chapters with this promise in harness/chapters.py",
    "ours_only(what): a promise of this project's chapters, not of every echo server",
    "wall(chapter, why): this chapter cannot pass, and that is its lesson",
    "no_sanitizer(why): means nothing in a program built with a sanitizer",
    "no_inject(why, rule=''): means nothing under INJECT, or under this rule of it",
    "fault(number, ..., happened='served', chapter=''): a row of docs/faults.md",
    "of_clients: checks a client, and so is for --client and not for --server",
    "early(begin=...): what it waits for begins before the first test: harness/early.py",
    "thorough: takes long, and so runs only with THOROUGH=1",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", default="", metavar="COMMAND",
                     help="check this echo server instead, e.g. './mine {port}'")
    parser.addoption("--client", default="", metavar="COMMAND",
                     help="check this client instead, e.g. 'nc -N 127.0.0.1 {port}'")
    parser.addoption("--promise", action="append", default=[], choices=["clean_end"],
                     help="what your server promises besides: a clean end at Ctrl-C")
    parser.addoption("--behaviour", action="store_true",
                     help="only what programs do: hold no page against it")
    faults.add_options(parser)


@pytest.hookimpl(trylast=True)  # report needs pytest's own reporter
def pytest_configure(config: pytest.Config) -> None:
    if sys.version_info < (3, 9) or int(pytest.__version__.split(".")[0]) < 7:
        pytest.exit("these tests need Python 3.9 and pytest 7, or newer; this is Python "
                    f"{sys.version.split()[0]} with pytest {pytest.__version__}", returncode=4)
    for line in MARKS:
        config.addinivalue_line("markers", line)
    if VARIANT not in VARIANTS:
        raise pytest.UsageError(f"SAN is one of address and thread, not {VARIANT}")
    if VARIANT != "plain" and inject.RULES:
        raise pytest.UsageError("SAN and INJECT both want to come first: one of them, please")
    for option in ("--server", "--client"):
        if "{port}" not in config.getoption(option) and config.getoption(option):
            raise pytest.UsageError(f"{option} needs {{port}} where the port goes")
    for plugin in (report, early, *report.progress(config), *faults.plugins(config)):
        config.pluginmanager.register(plugin)
    _be_an_ordinary_process()


def _be_an_ordinary_process() -> None:
    """Whoever started us may have ignored signals, and children would inherit that. Two
    thousand clients are two thousand descriptors here as well."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", returncode=143))


# ---- which tests, for which chapters -----------------------------------------------------

def _chapters(config: pytest.Config) -> tuple[Chapter, ...]:
    """Ours, or the reader's own program as the only one."""
    client = config.getoption("--client")
    if client or config.getoption("--server"):
        return (foreign(config.getoption("--promise"), client),)
    return CHAPTERS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "chapter" not in metafunc.fixturenames:
        return
    marks = list(metafunc.definition.iter_markers())
    promises = [mark.args[0] for mark in marks if mark.name == "promise"]
    metafunc.parametrize("chapter", [
        pytest.param(chapter, id=chapter.name, marks=[
            # A chapter that passes has outgrown its wall, and another failure is none.
            pytest.mark.xfail(reason=mark.args[1], strict=True, raises=WallReached)
            for mark in marks if mark.name == "wall" and mark.args[0] == chapter.name])
        for chapter in _chapters(metafunc.config)
        if chapter.is_foreign or all(getattr(chapter, promise) for promise in promises)])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in list(item.iter_markers()):
            reason = _reason_to_skip(mark, _chapters(config)[0])
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
        option = "--client" if item.get_closest_marker("of_clients") else "--server"
        if _chapters(config) != CHAPTERS and not (
                config.getoption(option) and "chapter" in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip(reason=f"needs {option}"))


def _reason_to_skip(mark: pytest.Mark, chapter: Chapter) -> str:
    if mark.name == "thorough" and not THOROUGH:
        return "only in the thorough run: THOROUGH=1"
    if mark.name == "no_sanitizer" and VARIANT != "plain":
        return f"SAN={VARIANT}: {mark.args[0]}"
    if mark.name == "no_inject" and inject.RULES:
        why, rule = (*mark.args, "")[:2]
        return f"INJECT='{inject.RULES}': {why}" if f"{rule}=" in f"{inject.RULES}=" else ""
    if mark.name == "ours_only" and chapter.is_foreign:
        return f"only for this project: {mark.args[0]}"
    if mark.name == "promise" and chapter.is_foreign and not getattr(chapter, mark.args[0]):
        return f"not promised by every echo server: {mark.args[0].replace('_', ' ')}"
    return ""


# ---- fixtures ------------------------------------------------------------------------------

@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def start_server(request: pytest.FixtureRequest, chapter: Chapter,
                 story: Story) -> Iterator[Callable[..., Server]]:
    """start_server("--quiet", shell="ulimit -n 16"): see Server for what it takes."""
    servers: list[Server] = []
    command = request.config.getoption("--server")
    if chapter.client and not command:  # a foreign client talks to a server that is right
        right = Path(__file__).parent / "peers" / "asyncio_echo.py"
        command = shlex.join([sys.executable, str(right), "{port}"])

    def start(*arguments: str, **options: Any) -> Server:
        servers.append(Server(chapter, story, *arguments, **{"command": command, **options}))
        return servers[-1].wait_until_ready()

    yield start
    with contextlib.ExitStack() as last:  # all of them, whatever goes wrong with one
        for server in servers:
            last.callback(server.expect_no_report)  # after its end: a leak, for example
            last.callback(server.stop)
        for server in servers:
            server.expect_health()


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server()


def _ended_after_the_test(make: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    with contextlib.ExitStack() as last:

        def start(*arguments: Any, **options: Any) -> Any:
            made = make(*arguments, **options)
            last.callback(made.stop)
            return made

        yield start


@pytest.fixture
def network() -> Iterator[Callable[..., Network]]:
    """network({"core/somaxconn": "4"}, mtu=600)"""
    yield from _ended_after_the_test(Network)


@pytest.fixture
def terminal(story: Story) -> Iterator[Callable[..., Terminal]]:
    yield from _ended_after_the_test(lambda **options: Terminal(story, **options))


@pytest.fixture
def start_peer(story: Story) -> Iterator[Callable[..., Peer]]:
    """start_peer(script): see harness/peer.py for what a script is."""
    yield from _ended_after_the_test(lambda *script, **more: Peer(story, *script, **more))


@pytest.fixture
def start_client(chapter: Chapter, story: Story) -> Iterator[Callable[..., ClientProgram]]:
    """start_client("--port", "8080", "Hello", stdin=b"..."); with peer=, the port is its."""
    def make(*arguments: object, peer: Any = None, **options: Any) -> ClientProgram:
        port = ["--port", str(peer.port)] if peer else []
        return ClientProgram(chapter, story, *port, *map(str, arguments), **options)

    yield from _ended_after_the_test(make)
