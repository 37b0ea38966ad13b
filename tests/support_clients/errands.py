"""A client is sent on an errand to which something is done, and comes back with a result.

Like support/evening.py for servers: nothing fails here, the facts are told, others judge."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Sequence

from support.chapters import Chapter
from support.servers import binary, status_name
from support_clients.clients import END

_LINES = b"".join(b"line %d of the conversation\n" % number for number in range(200))
_MESSAGE = "".join(random.Random(8).choices("abcdefgh", k=6000))


@dataclass(frozen=True)
class Errand:
    name: str
    arguments: tuple[str, ...]
    stdin: bytes
    result: str  # what stdout must hold in the end: a regular expression
    keyboard: bool = False  # stdin is a pipe, not a file


ERRANDS = (
    Errand("message", (_MESSAGE,), b"", "Successfully connected to server\n"
           f"Sending message: '{_MESSAGE}'\nReceived echo from server: '{_MESSAGE}'\n"),
    Errand("conversation", ("-",), _LINES, re.escape(_LINES.decode())),
    Errand("keyboard", ("-",), _LINES, re.escape(_LINES.decode()), keyboard=True),
    Errand("crowd", ("--guests", "3", "--rounds", "2"), b"",
           r"3 guests, 6 echoes, 0 errors, \d+\.\d\d s\n"),
)


@dataclass
class Result:
    hangs: bool
    status: int
    right: bool  # stdout is what the errand was for
    stderr: str

    def told(self) -> str:
        end = "it hangs" if self.hangs else f"it ended with {status_name(self.status)}"
        right = "right" if self.right else "not right"
        return f"{end}; stdout is {right}; stderr: {self.stderr.strip() or '(nothing)'}"

    def complaint(self) -> str:
        """What nobody may ever see, whatever was done to the client; empty if all is well."""
        if self.hangs or self.status not in (0, 1):
            return self.told()
        if self.status == 0:
            return "" if self.right else self.told()
        return "" if "client: " in self.stderr else self.told()


def run_errand(chapter: Chapter, errand: Errand, port: int, before: Sequence[str]) -> Result:
    command = [*before, str(binary(chapter, "client")), "--port", str(port), *errand.arguments]
    with tempfile.TemporaryFile() as file:
        file.write(errand.stdin)
        file.seek(0)
        process = subprocess.Popen(command, stdin=subprocess.PIPE if errand.keyboard else file,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        hangs = False
        try:
            out, err = process.communicate(errand.stdin if errand.keyboard else None, END)
        except subprocess.TimeoutExpired:
            hangs = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if hangs:
            out, err = process.communicate()
    right = re.fullmatch(errand.result, out.decode("utf-8", "replace")) is not None
    return Result(hangs, process.returncode, right, err.decode("utf-8", "replace"))
