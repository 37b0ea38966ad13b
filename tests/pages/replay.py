"""Types the terminal sessions of a page and compares what appears.

    python3 -m pages.replay 01-blocking/README.md DIRECTORY

DIRECTORY is a copy of the repository. All of it runs in namespaces of its own (see
test_pages.py): port 8080 is free there, and `ps` shows the processes of this page only.

A page's blocks are played from its top to its bottom. ```console is the first terminal,
```console 2 and ```console 3 are others; one with the word `not-run` is not.

    $ COMMAND     is typed, as are lines after it that begin with `> `. If a program still
                  runs in this terminal, Ctrl-C ends it first; `echo $?` waits for its end.
    ^C ^D ^Z      are keys
    ...           leaves out lines, or a part of a line
    anything else must appear (what `make` and `gcc` say may be left out)

Numbers of four digits and more stand for any number (PIDs, ports, sizes), unless they are
round or a power of two; before `kB` they must be right to a factor of two. So do numbers with
a decimal point and, in a block with the word `about`, all numbers: "1 error" is "69 errors",
and a call that took some bytes may have taken none (EAGAIN).
The rows of `ss` and `ps` come in any order.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import termios
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Callable

from pages.page import Page

PROMPT = "\x1e"
ABOUT = "\x1f"  # before a shown line: its numbers are examples
KEYS = {"^C": "\x03", "^D": "\x04", "^Z": "\x1a"}
PATIENCE_S = 90.0  # `make` on a busy machine
LOOK = re.compile("(ss|ps|grep) ")  # asked again if the machine was too busy for the first try
NOTICE = re.compile(r"\[\d+\][+-]? +(Done|Exit|Terminated|Killed|Interrupt|Running)\b.*")
TOKEN = re.compile(r"\.\.\.|(?<![\d.])\d+\.\d+(?![\d.])|\d{1,3}(?:,\d{3})+(?!\d)|\d+|\s+|.")


def varies(number: str) -> bool:
    value = int(number)
    return len(number) >= 4 and value % 1000 != 0 and value & (value - 1) != 0 and value != 8080


def half(line: str) -> bool:
    """What strace prints of a call in which the program sleeps."""
    return line.count("(") > line.count(")")


@lru_cache(maxsize=100_000)
def alike(shown: str, real: str) -> bool:
    if shown.startswith(ABOUT):
        real = re.sub(r"= -1 EAGAIN \(.*\)", "= 0", real)
        shown, real = (re.sub(r"\d+", "0", text).replace("errors", "error")
                       for text in (shown[1:], real))
    real = re.sub(r"^([RS])N", r"\1", real)  # what ps says where the tests run under nice
    pattern, printed = "", []
    for token in TOKEN.findall(shown.rstrip()):
        if token == "...":
            pattern += ".*"
        elif token.isspace():
            pattern += r"\s+"
        elif token[0].isdigit() and "." not in token and varies(token.replace(",", "")):
            pattern += r"([\d,]+)"
            printed.append(int(token.replace(",", "")))
        elif token[0].isdigit() and "." in token:
            pattern += r"\d+\.\d+"
        else:
            pattern += re.escape(token)
    if half(shown):
        pattern += ".*"
    match = re.fullmatch(pattern, real.rstrip())
    return match is not None and (" kB" not in shown or all(
        page / 2 <= int(number.replace(",", "")) <= page * 2 for page, number in zip(printed, match.groups())))


def fits(shown: list[str], real: list[str], whole: bool) -> bool:
    """Whether the real lines are the ones shown; or, if not whole, begin with them."""
    if not shown:
        return not real or not whole
    if shown[0].strip() == "...":
        return any(fits(shown[1:], real[i:], whole) for i in range(len(real) + 1))
    return bool(real) and alike(shown[0], real[0]) and fits(shown[1:], real[1:], whole)


def fits_as_set(shown: list[str], real: list[str]) -> bool:
    left = list(real)
    for line in shown:
        found = next((other for other in left if alike(line, other)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


@dataclass
class Step:
    terminal: int
    block: int
    line: int
    typed: str  # a command, a key, or "" where more is to appear
    shown: list[str] = field(default_factory=list)


def steps_of(page: Page) -> list[Step]:
    steps: list[Step] = []
    for block in page.blocks_of("console"):
        if "not-run" in block.words:
            continue
        place = (next((int(word) for word in block.words if word.isdigit()), 1), block.line)
        about = ABOUT if "about" in block.words else ""
        steps.append(Step(*place, block.line, ""))
        for number, line in enumerate(block.lines, start=block.line):
            if line.startswith("$ "):
                steps.append(Step(*place, number, line[2:]))
            elif line.startswith("> ") and not steps[-1].shown:
                steps[-1].typed += "\n" + line[2:]
            elif line in KEYS:
                steps.append(Step(*place, number, line))
            elif line.strip():
                steps[-1].shown.append(line if line == "..." else about + line)
    return [step for step in steps if step.typed or step.shown]


class Terminal:
    """A bash at the other end of a pseudo-terminal."""

    def __init__(self, directory: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and so would bash
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            attributes = termios.tcgetattr(0)
            attributes[1] &= ~termios.OPOST  # \n stays \n
            attributes[3] &= ~termios.ECHO   # what is typed does not come back
            termios.tcsetattr(0, termios.TCSANOW, attributes)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            os.chdir(directory)
            environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"),
                           "LC_ALL": "C.UTF-8", "TERM": "dumb", "PS1": PROMPT, "PS2": "",
                           "PAGER": "cat", "DEBUGINFOD_URLS": ""}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
        os.set_inheritable(self.fd, False)
        self.output = b""
        self.shown: list[str] = []
        self.command = "the shell"

    def lines(self) -> list[str]:
        text = re.sub(r"\x1b\[[\d;]*m|\r|" + PROMPT, "", self.output.decode("utf-8", "replace"))
        return [line for line in text.split("\n") if line.strip() and not NOTICE.match(line)]

    def prompt(self) -> bool:
        return PROMPT.encode() in self.output

    def right(self, whole: bool) -> bool:
        if re.match(r"make|gcc", self.command) and not self.shown:
            return True
        if re.search(r"\b(ss|ps) ", self.command) and self.prompt() and "..." not in self.shown:
            return fits_as_set(self.shown, self.lines())
        return fits(self.shown, self.lines(), whole)


class Play:
    def __init__(self, page: Page, directory: Path) -> None:
        self.page = page
        self.directory = directory / Path(page.name).parent
        self.terminals: dict[int, Terminal] = {}

    def wait(self, done: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Listens to all terminals until done."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            fds = {terminal.fd: terminal for terminal in self.terminals.values()}
            for fd in select.select(list(fds), [], [], 0.02)[0]:
                fds[fd].output += os.read(fd, 65536)
            while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
                pass  # we are process 1: orphans are ours to bury
        return True

    def settle(self, seconds: float = 0.25) -> None:
        """Waits until nobody here has used the processor or said a word for a while."""
        for _ in range(20):
            before = self.activity()
            self.wait(lambda: False, seconds)
            if self.activity() == before:
                return

    def activity(self) -> list[str]:
        found = [str(len(terminal.output)) for terminal in self.terminals.values()]
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if path.parent.name != str(os.getpid()):
                found.append(" ".join([path.parent.name, *words[11:13], words[17]]))
        return sorted(found)

    def perform(self, step: Step, returns: bool, last: bool) -> None:
        """`returns`: the next command of the same block waits for it; `last`: nothing more is
        shown of it."""
        if step.terminal not in self.terminals:
            terminal = self.terminals[step.terminal] = Terminal(self.directory)
            assert self.wait(terminal.prompt), "bash gives no prompt"
        terminal = self.terminals[step.terminal]
        command = step.typed not in KEYS and step.typed != ""
        if command:
            ends_by_itself = "$?" in step.typed and self.wait(terminal.prompt)
            if not ends_by_itself and not terminal.prompt():
                os.write(terminal.fd, b"\x03")
                assert self.wait(terminal.prompt), f"Ctrl-C does not end `{terminal.command}`"
            terminal.output, terminal.command = b"", step.typed
        if step.typed in KEYS:
            self.settle(1)  # a reader is slow; and TCP may pause before everything is stuck
        if step.typed:
            os.write(terminal.fd, (KEYS.get(step.typed) or step.typed + "\n").encode())
        terminal.shown = step.shown if command else ["...", *step.shown]
        background = re.search(r"(?<![&>])&(?![&>\d])", terminal.command) is not None
        whole = returns and not background
        right = self.wait(lambda: (terminal.prompt() or not returns) and terminal.right(whole),
                          1 if LOOK.match(step.typed) else PATIENCE_S)
        for _ in range(10):
            if right or not LOOK.match(step.typed) or not terminal.prompt():
                break
            terminal.output = b""
            os.write(terminal.fd, (step.typed + "\n").encode())
            self.wait(lambda: False, 0.5)
            right = terminal.right(whole)
        if right and not whole:
            self.settle()
            right = terminal.right(last and terminal.prompt() and not background)
        if not right:
            raise AssertionError(f"`{terminal.command}` in terminal {step.terminal} does not go "
                                 "as shown.\n-- the page:\n"
                                 + "\n".join(terminal.shown).replace(ABOUT, "")
                                 + "\n-- what happens:\n" + "\n".join(terminal.lines()[-40:]))

    def run(self) -> int:
        steps = steps_of(self.page)
        for i, step in enumerate(steps):
            later = next((other for other in steps[i + 1:] if other.terminal == step.terminal),
                         None)
            last = later is None or later.typed not in ("", *KEYS)
            returns = last and later is not None and later.block == step.block
            try:
                self.perform(step, returns, last)
            except AssertionError as wrong:
                print(self.page.complain(step.line, str(wrong)))
                return 1
        return 0


def loopback_up() -> None:
    """A new network namespace has a loopback device, but it is down."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS


if __name__ == "__main__":
    loopback_up()
    sys.exit(Play(Page(sys.argv[1]), Path(sys.argv[2])).run())
