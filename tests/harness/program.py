"""A chapter's ./server or ./client, or the reader's own, as a process."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from signal import Signals
from typing import IO, Any, Mapping, Optional, Sequence, Union

import inject

from . import proc
from .chapters import VARIANT, Chapter, program
from .story import Story, tail

Stream = Union[None, int, IO[bytes]]


class Program:
    """shell    what a reader would type before or after it: "ulimit -n 16", ">&-"
    prefix   a command that runs it: ["strace", "-f", ...]
    env      added to its environment
    variant  "address" or "thread": with that sanitizer
    clock    time passes so many times as fast for it, unless SAN or INJECT forbid it
    command  the reader's own program: all words of its command, instead of a chapter's
    """

    role = ""  # "server" or "client"
    patience = proc.PATIENCE  # how long to wait for its end

    def __init__(self, chapter: Chapter, story: Story, arguments: Sequence[str],
                 command: Sequence[str] = (), shell: str = "", prefix: Sequence[str] = (),
                 env: Mapping[str, str] = {}, variant: str = VARIANT, clock: int = 1,
                 enter: Sequence[str] = (), stdin: Stream = None, stdout: Stream = None,
                 stderr: Stream = None, told: str = "", **options: Any) -> None:
        self.chapter, self.story, self.is_foreign = chapter, story, bool(command)
        ordinary = variant == "plain" and not inject.RULES and not command
        self.clock = clock if ordinary and platform.libc_ver()[0] == "glibc" else 1
        self.ended: Optional[int] = None  # the exit status, once the test has asked for it
        self.name = shlex.join(command) if command else f"{chapter.name}/{self.role}"
        words = list(command) or [self.name, *arguments]
        story.tell(f"started {_as_typed([*prefix, *words], shell, env)}{told}")
        if not command:
            words[0] = str(program(chapter, self.role, variant))
            rules = f"clock={self.clock}" if self.clock > 1 else inject.RULES
            env = {**inject.environment(rules if variant == "plain" else ""), **env}
        try:
            self.process = proc.start(proc.in_shell([*enter, *prefix, *words], shell), env,
                                      stdin=stdin, stdout=stdout, stderr=stderr, **options)
        except OSError as error:
            story.fail(f"the {self.role} to start", f"it cannot: {error}")
        story.witnesses.append(self._testimony)

    def signal(self, number: Signals) -> None:
        self.story.tell(f"sent {number.name} to the {self.role}")
        os.killpg(self.process.pid, number)

    def wait(self, within: float = 0) -> int:
        """For its end. Returns the exit status, -15 where SIGTERM ended it."""
        within = within or self.patience
        try:
            self.ended = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.story.fail(f"the {self.role} to end",
                            f"it is still running after {within:g} seconds")
        self.story.tell(f"the {self.role} ended with {proc.status_name(self.ended)}")
        return self.ended

    def expect_exit(self, *statuses: int, within: float = 0) -> None:
        status = self.wait(within)
        self.story.check(status in statuses, " or ".join(map(proc.status_name, statuses)),
                         f"it is {proc.status_name(status)}")

    def said(self) -> Sequence[tuple[str, str]]:
        """What a reader should see of a failure: a heading, and a text."""
        return ()

    def _testimony(self) -> str:
        proc.eventually(lambda: self.process.poll() is not None, 0.2)  # it may be dying now
        status = self.process.poll()
        fate = "is still running" if status is None else f"ended with {proc.status_name(status)}"
        lines = [f"\nThe {self.role} {self.name} {fate}."]
        for heading, text in self.said():
            lines += [heading, tail(text)] if text else []
        return "\n".join(lines)

    def stop(self) -> None:
        proc.end(self.process)


def _as_typed(words: Sequence[str], shell: str, env: Mapping[str, str]) -> str:
    short = [word if len(word) <= 60 else f"({len(word)} characters)" for word in words]
    typed = " ".join([*(f"{name}={shlex.quote(value)}" for name, value in env.items()),
                      shlex.join(short)])
    if not shell:
        return typed
    return f"{typed} {shell}" if shell[0] in "<>2" else f"{shell}; {typed}"
