"""The fixtures of the clients' tests, for `pytest_plugins` of a test file."""

from __future__ import annotations

from typing import Iterator, Union

import pytest

from support.chapters import Chapter
from support.story import Story
from support_clients.clients import Client, StartClient
from support_clients.patience import WaitingRoom
from support_clients.wrong_servers import Manners, PythonServer, StartPythonServer


@pytest.fixture
def start_client(chapter: Chapter, story: Story) -> Iterator[StartClient]:
    """start_client("--port", "8080", "Hello", stdin=b"..."): see Client for what it takes."""
    clients: list[Client] = []

    def start(*arguments: Union[str, int], **options: object) -> Client:
        client = Client(chapter, story, *map(str, arguments), **options)  # type: ignore[arg-type]
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.stop()


@pytest.fixture
def start_python_server(story: Story) -> Iterator[StartPythonServer]:
    """start_python_server(short(100)): see wrong_servers for the manners there are."""
    servers: list[PythonServer] = []

    def start(manners: Manners) -> PythonServer:
        servers.append(PythonServer(story, manners))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def waiting_room(request: pytest.FixtureRequest) -> Iterator[WaitingRoom]:
    """All the clients for which the tests of one file are going to ask, waiting together."""
    room = WaitingRoom(item for item in request.session.items if item.path == request.path)
    yield room
    room.close()
