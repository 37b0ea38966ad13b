#!/usr/bin/env python3
"""A client to look through: it shows what comes, when it comes, and it can misbehave.

    docs/peek.py               send what is typed, print every piece that comes, with its time
    docs/peek.py hush 1000     be 1,000 clients that connect and say nothing
    docs/peek.py flood 50      be 50 clients that send as much as they can and read nothing
    docs/peek.py drip HELLO    send one byte a second
    docs/peek.py reset         send one word and break the connection off (a TCP reset)

--host and --port as for ./client. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import signal
import socket
import struct
import sys
import time

STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:6.3f} s  {text}", flush=True)


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def received(connection: socket.socket) -> bool:
    """Prints one piece. False: that was the end."""
    try:
        data = connection.recv(65536)
    except ConnectionResetError:
        say("the connection was reset")
        return False
    if not data:
        say("the server ended its side")
        return False
    shown = repr(data[:60])[1:] + ("..." if len(data) > 60 else "")
    say(f"received {plural(len(data), 'byte')}: {shown}")
    return True


def talk(connection: socket.socket) -> None:
    """What is typed goes out as it is typed; at its end, our side ends."""
    sources = [connection, sys.stdin]
    while True:
        for ready in select.select(sources, [], [])[0]:
            if ready is connection:
                if not received(connection):
                    return
                continue
            data = os.read(sys.stdin.fileno(), 65536)
            if data:
                connection.sendall(data)
            else:
                connection.shutdown(socket.SHUT_WR)
                sources.remove(sys.stdin)


def drip(connection: socket.socket, text: str) -> None:
    for character in text:
        connection.sendall(character.encode())
        say(f"sent {character!r}")
        until = time.monotonic() + 1
        while (left := until - time.monotonic()) > 0:
            if select.select([connection], [], [], left)[0] and not received(connection):
                return
    connection.shutdown(socket.SHUT_WR)
    while received(connection):
        pass


def reset(connection: socket.socket, text: str) -> None:
    connection.sendall(text.encode())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    say(f"sent {plural(len(text), 'byte')}, then a reset")


def flood(connections: list[socket.socket]) -> None:
    """Sends until nobody has taken a byte for a second."""
    taken, last = 0, time.monotonic()
    for connection in connections:
        connection.setblocking(False)
    while time.monotonic() - last < 1:
        for connection in select.select([], connections, [], 0.1)[1]:
            try:
                taken += connection.send(bytes(65536))
                last = time.monotonic()
            except BlockingIOError:
                pass
    say(f"stuck: {plural(taken, 'byte')} sent, none read")


def connect(arguments: argparse.Namespace, count: int) -> list[socket.socket]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if count + 16 > hard:
        sys.exit(f"peek: no more than {hard} descriptors are allowed here (ulimit -Hn)")
    return [socket.create_connection((arguments.host, arguments.port), 60) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="talk",
                        choices=["talk", "hush", "flood", "drip", "reset"])
    parser.add_argument("argument", nargs="?", help="a number of clients, or a text")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    many = arguments.what in ("hush", "flood")
    try:
        connections = connect(arguments, int(arguments.argument or 1) if many else 1)
        if arguments.what == "talk":
            talk(connections[0])
        elif arguments.what == "drip":
            drip(connections[0], arguments.argument or "HELLO")
        elif arguments.what == "reset":
            reset(connections[0], arguments.argument or "word")
        else:
            say(f"{plural(len(connections), 'client')} connected")
            if arguments.what == "flood":
                flood(connections)
            signal.pause()
    except OSError as error:
        sys.exit(f"peek: {error}")


if __name__ == "__main__":
    main()
