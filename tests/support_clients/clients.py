"""A client as a process: started, spoken to, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import subprocess
import tempfile
import time
from typing import IO, Callable, Optional, Sequence, Union

from support import shims
from support.chapters import Chapter
from support.guests import PATIENCE, describe
from support.servers import binary, in_shell, status_name, tail
from support.story import Story

# More than the ten seconds after which a client itself gives up: 35, on a busy machine.
END = PATIENCE * 7 / 3

REPORT = re.compile(r"(\d+) guests, (\d+) echoes, (\d+) errors, \d+\.\d\d s")

Stdin = Union[bytes, int, IO[bytes]]


class Client:
    """`stdin`: bytes, which it finds in a file; a descriptor; or PIPE, for type(). `stdout`:
    None, a file that `out` shows; a descriptor; or PIPE, for hear(). `shell`: see in_shell.
    `before`: a command that ends with exec."""

    def __init__(self, chapter: Chapter, story: Story, *arguments: str, stdin: Stdin = b"",
                 stdout: Optional[int] = None, shell: str = "",
                 before: Sequence[str] = (), pass_fds: Sequence[int] = (),
                 shim: str = shims.WORDS, note: str = "") -> None:
        self.story = story
        argv = self._argv(chapter, arguments)
        self.name = shlex.join(argv) if chapter.is_foreign else f"{chapter.name}/client"
        self.chapter = chapter
        self.ended: Optional[int] = None
        self._out = tempfile.TemporaryFile()
        self._err = tempfile.TemporaryFile()
        self._files: list[IO[bytes]] = [self._out, self._err]
        story.tell(f"started {shims.as_typed(shim)}{self._as_typed(arguments, stdin, shell)}")
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            in_shell([*before, *shims.before(shim, note), *argv], shell),
            stdin=self._open_stdin(stdin), stdout=self._out if stdout is None else stdout,
            stderr=self._err, start_new_session=True, pass_fds=pass_fds)
        story.witnesses.append(self)

    @staticmethod
    def _argv(chapter: Chapter, arguments: Sequence[str]) -> list[str]:
        """A foreign client takes the port, wherever its command has it, and nothing else."""
        if not chapter.client:
            return [str(binary(chapter, "client")), *arguments]
        port = arguments[arguments.index("--port") + 1]
        return [word.replace("{port}", port) for word in shlex.split(chapter.client)]

    def _open_stdin(self, stdin: Stdin) -> Union[int, IO[bytes]]:
        if not isinstance(stdin, bytes):
            return stdin
        if not stdin:
            return subprocess.DEVNULL
        file = tempfile.TemporaryFile()
        file.write(stdin)
        file.seek(0)
        self._files.append(file)
        return file

    def _as_typed(self, arguments: Sequence[str], stdin: Stdin, shell: str) -> str:
        words = [word if len(word) <= 60 else f"({len(word)} characters)" for word in arguments]
        typed = self.name if self.chapter.is_foreign else shlex.join([self.name, *words])
        if shell:
            typed = f"{typed} {shell}" if shell[0] in "<>2" else f"{shell}; {typed}"
        if isinstance(stdin, bytes) and stdin:
            typed += f", with {describe(stdin)} as its stdin"
        return typed

    # Its stdin and stdout

    def type(self, line: bytes) -> None:
        """At a keyboard that is a pipe."""
        self.story.tell(f"typed {describe(line)}")
        assert self.process.stdin
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            self.story.fail("the client to listen to its keyboard", "it does not any more")

    def hang_up(self) -> None:
        self.story.tell("ended the client's input")
        assert self.process.stdin
        self.process.stdin.close()

    def hear(self, count: int) -> bytes:
        """The next `count` bytes of stdout, or what there is of them at its end."""
        assert self.process.stdout
        heard = bytearray()
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        while len(heard) < count:
            if not poll.poll(PATIENCE * 1000):
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

    @property
    def out(self) -> bytes:
        return _all_of(self._out)

    @property
    def err(self) -> str:
        return _all_of(self._err).decode("utf-8", "replace")

    # Its end

    def wait(self, within: float = END) -> int:
        try:
            self.ended = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.story.fail("the client to end", f"it is still running after {within:g} seconds")
        self.story.tell(f"the client ended with {status_name(self.ended)}")
        return self.ended

    def expect_success(self) -> None:
        status = self.wait()
        self.story.check(status == 0 and not self.err, "exit status 0, and nothing on stderr",
                         f"it is {status_name(status)}")

    def expect_failure(self, *words: str) -> str:
        """Exit status 1 and one line on stderr, in which all these words stand. A foreign
        client may find other words and other numbers."""
        status = self.wait()
        if self.chapter.is_foreign:
            self.story.check(status > 0 and bool(self.err),
                             "a failure: an exit status above 0, and words on stderr",
                             f"it is {status_name(status)}, and stderr is: {self.err!r}")
            return self.err
        self.story.check(status == 1, "exit status 1", f"it is {status_name(status)}")
        lines = self.err.splitlines()
        self.story.check(len(lines) == 1 and lines[0].startswith("client: "),
                         "one line on stderr, which begins with 'client: '",
                         f"there are {len(lines)}:\n{tail(self.err)}")
        for word in words:
            self.story.check(re.search(rf"(?<!\d){re.escape(word)}(?!\d)", lines[0]) is not None,
                             f"'{word}' in its line on stderr", f"that is: {lines[0]}")
        return lines[0]

    def expect_report(self) -> tuple[int, int, int]:
        """Guests, echoes and errors, from the last line of a crowd."""
        lines = self.out.decode("utf-8", "replace").splitlines() or [""]
        found = REPORT.fullmatch(lines[-1])
        if not found:
            self.story.fail("'N guests, M echoes, K errors, T s' as its last line on stdout",
                            f"that is: {lines[-1]!r}")
        guests, echoes, errors = (int(number) for number in found.groups())
        self.story.check((errors == 0) == (self.ended == 0), "an exit status true to its report",
                         f"'{lines[-1]}' came with {status_name(self.ended or 0)}")
        return guests, echoes, errors

    def testimony(self) -> str:
        status = self.process.poll()
        fate = "is still running" if status is None else f"ended with {status_name(status)}"
        lines = [f"\nThe client {self.name} {fate}."]
        if self.out:
            lines += ["Its stdout:", tail(_readable(self.out))]
        if self.err:
            lines += ["Its stderr:", tail(self.err)]
        return "\n".join(lines)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, *self._files):
            with contextlib.suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


StartClient = Callable[..., Client]


def _all_of(file: IO[bytes]) -> bytes:
    """Without moving the position, which the client shares with us."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _readable(out: bytes) -> str:
    try:
        lines = out.decode().splitlines()
    except UnicodeDecodeError:
        lines = [describe(out)]
    return "\n".join(line if len(line) <= 100 else f"{line[:80]} ..." for line in lines)


def peak_memory(pid: int) -> int:
    """The most that the process ever had in memory, in bytes."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
