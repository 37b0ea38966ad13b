"""A correct client in another language, to see that the tests accept what is right.

Usage: python3 right_client.py PORT
"""

from __future__ import annotations

import select
import socket
import sys
from typing import NoReturn

PATIENCE = 10


def fail(why: str) -> NoReturn:
    sys.exit(f"right_client: {why}")


def read_keyboard(server: socket.socket) -> bytes:
    """Listens to both: the server should be silent until it is asked."""
    keyboard = sys.stdin.buffer.raw
    if server in select.select([keyboard, server], [], [])[0]:
        fail("the server speaks, or goes, and nobody asked it to")
    return keyboard.read(4096) or b""


def hear_echo(server: socket.socket, said: bytes) -> None:
    while said:
        heard = server.recv(len(said))
        if not heard or not said.startswith(heard):
            fail("the echo is not what was said" if heard else "the echo is too short")
        said = said[len(heard):]


def converse(server: socket.socket) -> None:
    if server.getsockname() == server.getpeername():
        fail("there is no server: it met itself")
    while said := read_keyboard(server):
        server.sendall(said)
        hear_echo(server, said)
        sys.stdout.buffer.write(said)
        sys.stdout.flush()
    server.shutdown(socket.SHUT_WR)
    if server.recv(1):
        fail("more came back than was sent")


try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=PATIENCE) as connection:
        converse(connection)
except OSError as error:
    fail(str(error))
