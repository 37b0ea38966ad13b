"""The other direction: a scripted peer that a client talks to, and a chapter's ./client.

A script is a function that serves one connection, in a thread of its own; see echo().
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shlex
import socket
import struct
import tempfile
import threading
import time
from typing import IO, Any, Callable, Iterator, Optional, Sequence, Union

import pytest

from .chapters import Chapter, program
from .proc import PATIENCE, Output, status_name
from .program import Program, Stream
from .story import Story, describe, tail

CHUNK = 64 * 1024

Script = Callable[["Conversation"], None]
Stdin = Union[bytes, int, IO[bytes]]


class Conversation:
    """One connection, from the server's side. The first to come has number 0."""

    def __init__(self, peer: Peer, connection: socket.socket, number: int) -> None:
        self.peer, self.socket, self.number = peer, connection, number

    def chunks(self) -> Iterator[bytes]:
        """What the client sends, until it ends its side."""
        return iter(lambda: self.socket.recv(CHUNK), b"")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def finish(self) -> None:
        """Ends our side, and reads until the client ends its own."""
        self.socket.shutdown(socket.SHUT_WR)
        for _ in self.chunks():
            pass

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def echo(conversation: Conversation) -> None:
    """echoes"""
    for data in conversation.chunks():
        conversation.send(data)


def hold(conversation: Conversation) -> None:
    """accepts, and never reads"""
    conversation.peer.over.wait()


class Peer:
    """A server in this process. The script's docstring says what it does, in a failure."""

    def __init__(self, story: Story, script: Script) -> None:
        self.story, self.script, self.what = story, script, script.__doc__
        self.over = threading.Event()
        self.connections = 0
        self._news = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        story.tell(f"started a peer at port {self.port}: it {self.what}")
        story.witnesses.append(lambda: f"\nThe peer, which {self.what}, has seen "
                                       f"{self.connections} connections.")
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the test is over
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(connection)
                self._start(self._serve, Conversation(self, connection, self.connections))
                with self._news:
                    self.connections += 1
                    self._news.notify_all()

    def _serve(self, conversation: Conversation) -> None:
        with contextlib.suppress(OSError):  # the client is gone
            self.script(conversation)
        conversation.socket.close()

    def wait_for_connections(self, count: int) -> bool:
        """Whether so many have come; also returns when the test is over."""
        with self._news:
            return self._news.wait_for(
                lambda: self.connections >= count or self.over.is_set(), PATIENCE)

    def expect_connections(self, count: int) -> None:
        self.story.check(self.wait_for_connections(count), f"{count} connections at the peer",
                         f"{self.connections} came")

    def stop(self) -> None:
        self.over.set()
        with self._news:
            self._news.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self._threads[0].join()
        self._listener.close()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


class Terminal:
    """A pseudo-terminal: `inside` is what a program gets, the rest is the person's side."""

    def __init__(self, story: Story, read: bool = True) -> None:
        self.story = story
        try:
            self._outside, self.inside = pty.openpty()
        except OSError:
            pytest.skip("no pseudo-terminals here: /dev/pts is not mounted")
        self.screen = Output(story, "the terminal", os.fdopen(os.dup(self._outside), "rb")
                             if read else None)

    def type(self, text: bytes) -> None:
        self.story.tell(f"typed {describe(text)} at the terminal")
        os.write(self._outside, text)

    def stop(self) -> None:
        for descriptor in (self.inside, self._outside):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.screen.finish()


class ClientProgram(Program):
    """`./client` of a chapter, or the reader's --client. See Program for its options, and

    stdin   bytes, which it finds in a file; a descriptor; or PIPE, for type()
    stdout  None, a file that `out` shows; a descriptor; or PIPE, for hear()
    """

    role = "client"
    patience = PATIENCE * 7 / 3  # more than the ten seconds after which it gives up itself

    def __init__(self, chapter: Chapter, story: Story, *arguments: str, stdin: Stdin = b"",
                 stdout: Stream = None, **options: Any) -> None:
        self._files = [tempfile.TemporaryFile() for _ in range(3)]
        told = ""
        if isinstance(stdin, bytes) and stdin:
            told = f", with {describe(stdin)} as its stdin"
            self._files[0].write(stdin)
            self._files[0].seek(0)
        command = shlex.split(chapter.client)
        if command:  # it takes the port wherever its command has it, and nothing else
            port = arguments[arguments.index("--port") + 1]
            command = [word.replace("{port}", port) for word in command]
        else:
            program(chapter, self.role)  # built before its time runs
        self._started = time.time()
        super().__init__(chapter, story, arguments, command, told=told,
                         stdin=self._files[0] if isinstance(stdin, bytes) else stdin,
                         stdout=self._files[1] if stdout is None else stdout,
                         stderr=self._files[2], **options)

    @property
    def out(self) -> bytes:
        return self._all_of(1)

    @property
    def err(self) -> str:
        return self._all_of(2).decode("utf-8", "replace")

    def _all_of(self, number: int) -> bytes:
        """Without moving the position, which the program shares with us."""
        file = self._files[number].fileno()
        return os.pread(file, os.fstat(file).st_size, 0)

    def lasted(self) -> float:
        """Seconds from its start to its last words, by the clock that files have."""
        ends = [os.fstat(file.fileno()).st_mtime for file in self._files[1:]]
        return max(ends) - self._started

    def said(self) -> Sequence[tuple[str, str]]:
        out = self.out.decode("utf-8", "backslashreplace")
        return ("Its stdout:", out), ("Its stderr:", self.err)

    # ---- its stdin and stdout, where they are pipes ----

    def type(self, line: bytes) -> None:
        self.story.tell(f"typed {describe(line)}")
        assert self.process.stdin
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            self.story.fail("the client to read its stdin", "it does not any more")

    def end_input(self) -> None:
        self.story.tell("ended the client's input")
        assert self.process.stdin
        self.process.stdin.close()

    def hear(self, count: int) -> bytes:
        """The next `count` bytes of stdout, or what there is of them at its end."""
        assert self.process.stdout
        heard = bytearray()
        while len(heard) < count:
            if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
                self.story.fail(f"{count} bytes on the client's stdout",
                                f"after {len(heard)} bytes nothing came for {PATIENCE:g} seconds")
            part = os.read(self.process.stdout.fileno(), count - len(heard))
            if not part:
                break
            heard += part
        return bytes(heard)

    def expect_echo(self, line: bytes) -> None:
        heard = self.hear(len(line))
        self.story.check(heard == line, f"its echo on stdout, {describe(line)}",
                         f"what came is {describe(heard)}")
        self.story.tell(f"read {describe(line)} on the client's stdout")

    # ---- its end ----

    def expect_success(self, out: Optional[bytes] = None) -> None:
        """With `out`, that must be the whole of its stdout."""
        status = self.wait()
        self.story.check(status == 0 and not self.err, "exit status 0, and nothing on stderr",
                         f"it is {status_name(status)}")
        self.story.check(out is None or self.out == out, f"{describe(out or b'')} on stdout, and "
                         "nothing else", f"there is {describe(self.out)}")

    def expect_failure(self, *words: str) -> str:
        """Exit status 1 and one line on stderr, in which all these words stand. A foreign
        client may find other words and other numbers."""
        status = self.wait()
        if self.is_foreign:
            self.story.check(status > 0 and self.err, "a failure, and words on stderr",
                             f"it is {status_name(status)}, and stderr is: {self.err!r}")
            return self.err
        self.story.check(status == 1, "exit status 1", f"it is {status_name(status)}")
        lines = self.err.splitlines() or [""]
        self.story.check(len(lines) == 1 and lines[0].startswith("client: "),
                         "one line on stderr, which begins with 'client: '",
                         f"stderr is:\n{tail(self.err)}")
        for word in words:
            self.story.check(re.search(rf"(?<!\d){re.escape(word)}(?!\d)", lines[0]),
                             f"'{word}' in its line on stderr", f"that is: {lines[0]}")
        return lines[0]

    def expect_report(self, counts: str) -> re.Match[str]:
        """The last line of a crowd. `counts` is a regular expression for what it has counted."""
        line = self.out.decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2]
        found = re.fullmatch(rf"{counts}, \d+\.\d\d s", line)
        if not found:
            self.story.fail(f"'{counts}, T s' as its last line on stdout", f"that is: {line!r}")
        return found

    def stop(self) -> None:
        super().stop()
        for pipe in (self.process.stdin, self.process.stdout, *self._files):
            with contextlib.suppress(BrokenPipeError):
                if pipe:
                    pipe.close()
