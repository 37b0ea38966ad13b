"""The terminal sessions of a page, typed in a fresh copy of the project."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Optional

from support_pages.page import Page, Problem, WrongPage, files_of
from support_pages.snippets import GAP, difference

# What differs from run to run and from machine to machine; applied to both sides.
NORMALISE = [(re.compile(pattern), by) for pattern, by in (
    (r"\s+$", ""),
    (r" --port 8080\b", ""),
    (r"(127\.0\.0\.1|\[::1\]|localhost):(?!8080\b)\d+", r"\1:PORT"),
    (r"\b\d+\.\d+ (s|ms|seconds)\b", r"T \1"),
    (r"^(real|user|sys)\s+\d+m[\d.]+s$", r"\1 T"),
    (r"\bpid( |=)\d+", r"pid\1PID"),
    (r"\b\d+ kB\b", "N kB"),
    (r"^(\^C)+(?=.)", ""),
)]

# Said by bash of its background jobs, at moments of its own choice: left out on both sides.
JOB_NOTICE = re.compile(r"\[\d+\]([+-]? +(Done|Exit|Running|Terminated|Interrupt|Killed).*| \d+)")

# `ls ./server` only speaks of the program: it gets no --port.
ONLY_LOOK = set("ls size nm ldd file wc stat readlink objdump readelf cp rm ln kill pgrep gdb "
                "echo".split())

PROMPT = b"\x1eprompt\x1e"
SETTLE = 0.15  # seconds for a command to return when all that is shown has appeared


def normalised(line: str) -> str:
    for pattern, by in NORMALISE:
        line = pattern.sub(by, line)
    return line


def comparable(lines: Iterable[str]) -> list[str]:
    kept = [normalised(line) for line in lines if not JOB_NOTICE.fullmatch(line.rstrip())]
    while kept and not kept[-1]:
        kept.pop()
    return kept


def alike(shown: str, real: str) -> bool:
    """`...` within a line stands for any characters of that line."""
    pattern = ".*".join(map(re.escape, re.split(r"\.\.\.|…", shown)))
    return shown == real or re.fullmatch(pattern, real) is not None


def fits(shown: list[str], real: list[str], whole: bool) -> bool:
    """Whether the real lines are (whole) or begin with (not whole), the lines shown."""
    pieces: list[list[str]] = [[]]
    for line in shown:
        if GAP.fullmatch(line):
            pieces.append([])
        else:
            pieces[-1].append(line)

    def stands(piece: list[str], at: int) -> bool:
        return all(map(alike, piece, real[at:at + len(piece)]))

    position = 0
    for i, piece in enumerate(pieces):
        last = len(real) - len(piece)
        if whole and i == len(pieces) - 1:
            return last >= position and (i > 0 or last == 0) and stands(piece, last)
        places = range(position, last + 1 if i else min(1, last + 1))
        place = next((at for at in places if stands(piece, at)), None)
        if place is None:
            return False
        position = place + len(piece)
    return True


def gone_astray(shown: list[str], real: list[str]) -> bool:
    """Whether no further output can make it right."""
    for page_line, real_line in zip(shown, real):
        if GAP.fullmatch(page_line):
            return False
        if not alike(page_line, real_line):
            return True
    return False


@dataclass
class Action:
    """Something done in a terminal, and the lines that then appear there."""
    terminal: int
    line: int
    kind: str  # command, ^C, ^D, typed, more (nothing is done: more appears)
    text: str = ""
    shown: list[str] = field(default_factory=list)


def actions_of(page: Page) -> list[Action]:
    actions: list[Action] = []
    for block in page.blocks:
        if block.language != "console":
            continue
        if "not-run" in block.words:
            if not "".join(block.lines[:1]).startswith("$ "):
                raise WrongPage(f"{page.name} line {block.line}: a console block that is not run "
                                "begins with what is typed: `$ …`")
            continue
        wrong = [word for word in block.words if not word.isdigit()]
        if wrong:
            raise WrongPage(f"{page.name} line {block.line}: what is {wrong[0]!r}? It is ```console"
                            ", ```console 2 or ```console not-run")
        terminal = int(block.words[0]) if block.words else 1
        typed = list(block.typed)
        action: Optional[Action] = None
        for number, text in block.numbered():
            if text.startswith("# "):
                continue
            if text.startswith("$ git clone") or (
                    text.startswith("$ cd ") and action and action.kind == "cloned"):
                action = Action(terminal, number, "cloned")  # we stand in the clone already
                continue
            if text.startswith("$ "):
                action = Action(terminal, number, "command", text[2:])
            elif text.startswith("> ") and action and action.kind == "command" and not action.shown:
                action.text += "\n" + text[2:]
                continue
            elif text in ("^C", "^D"):
                if action is None and text == "^C":  # what came before it is not shown
                    actions.append(Action(terminal, number, "more", shown=["..."]))
                action = Action(terminal, number, text)
            elif typed and text == typed[0]:
                action = Action(terminal, number, "typed", typed.pop(0))
            else:
                if action is None:
                    action = Action(terminal, number, "more")
                    actions.append(action)
                action.shown.append(text.rstrip())
                continue
            actions.append(action)
        if typed:
            raise WrongPage(f"{page.name} line {block.line}: no line of this block is "
                            f"{typed[0]!r}, which is to be typed")
    for action in actions:
        if re.search(r"\b(killall|pidof)\b", action.text):
            raise WrongPage(f"{page.name} line {action.line}: other people's programs may have the "
                            "same name; use pgrep or pkill, which are kept to this page's")
        if re.search(r"\bmake (test|check)\b|\bpytest\b|pages\.py", action.text):
            raise WrongPage(f"{page.name} line {action.line}: the tests would play this page "
                            "again, and so on for ever; write ```console not-run")
    return actions


class Ports:
    """Free ports that stand for 8080 to 8099, which may be taken here."""

    def __init__(self) -> None:
        self.real: dict[str, str] = {}

    def stand_in(self, port: str) -> str:
        while port not in self.real:
            candidate = random.randrange(20000, 32768)
            with socket.socket() as probe:
                try:
                    probe.bind(("", candidate))
                except OSError:
                    continue
            if str(candidate) not in self.real.values():
                self.real[port] = str(candidate)
        return self.real[port]

    def typed(self, command: str) -> str:
        parts = re.split(r"([;&|\n]+)", command)
        return "".join(self._one_program(part) for part in parts)

    def _one_program(self, command: str) -> str:
        words = [word for word in command.split() if "=" not in word]
        if "--port" not in command and words and words[0] not in ONLY_LOOK:
            command = re.sub(r"""(?<![^\s('"])((?:\./|\d\d-)[\w/-]*(?<=[./])(?:server|client)"""
                             r"""(?:-address|-thread)?)(?=[\s)'"]|$)""", r"\1 --port 8080", command)
        return re.sub(r"\b80[89]\d\b", lambda port: self.stand_in(port[0]), command)

    def shown(self, text: str) -> str:
        for port, real in self.real.items():
            text = re.sub(rf"\b{real}\b", port, text)
        return text


class Terminal:
    """A bash at the other end of a pseudo-terminal, which keeps what it has said."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST                      # \n stays \n
        attributes[3] &= ~(termios.ECHO | termios.ECHOCTL)   # what is typed does not come back
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))

        def take_terminal() -> None:  # Ctrl-C reaches whoever has a terminal in the foreground
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"], stdin=slave, stdout=slave,
            stderr=slave, cwd=directory, env=environment, start_new_session=True,
            preexec_fn=take_terminal)
        os.close(slave)
        self.heard = bytearray()
        self.heard_at = time.monotonic()
        self.ended = False
        self.command: Optional[Action] = None
        self.shown: list[str] = []
        self.right = False  # the whole of it has been compared

    def type(self, text: str) -> None:
        self.heard_at = time.monotonic()
        os.write(self.master, text.encode())

    def begin(self, command: Action, text: str) -> None:
        self.command, self.shown, self.right = command, [], False
        self.heard.clear()
        self.type(text + "\n")

    def listen(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody is left at the other end
            data = b""
        self.ended |= not data
        self.heard += data
        self.heard_at = time.monotonic()

    @property
    def returned(self) -> bool:
        return self.ended or PROMPT in self.heard

    def lines(self, ports: Ports) -> list[str]:
        """Whole lines; when the command has returned, all that there is."""
        data = re.sub(rb"(?<=[^\n])" + PROMPT, b"\n", bytes(self.heard)).replace(PROMPT, b"")
        text = ports.shown(data.decode("utf-8", "replace")).replace("\r", "")
        lines = text.split("\n")
        if not self.returned:
            lines.pop()  # not whole yet
        return comparable(lines)

    def end(self) -> None:
        """Kills all that was started here: bash and its jobs are one session."""
        for _ in range(50):
            left = session_members(self.bash.pid)
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                break
            self.bash.poll()
            time.sleep(0.01)
        self.bash.wait()
        os.close(self.master)


def session_members(session: int) -> list[int]:
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):  # it has just ended
            continue
        if int(its_session) == session and state not in "ZX":
            members.append(int(path.parent.name))
    return members


class Play:
    """One page, from its top to its bottom, in a fresh copy of the repository."""

    def __init__(self, page: Page, copy: Path, patience: float = 20.0) -> None:
        self.page, self.copy, self.patience = page, copy, patience
        self.actions = actions_of(page)
        self.ports = Ports()
        self.terminals: dict[int, Terminal] = {}
        self.environment = {name: value for name, value in os.environ.items()
                            if not re.match(r"MAKE|MFLAGS|SAN$|PYTEST|PROMPT_COMMAND|BASH|LC_|LANG",
                                            name)}
        self.environment.update(LC_ALL="C.UTF-8", TERM="dumb", PS1=PROMPT.decode(), PS2="",
                                PAGER="cat", GIT_PAGER="cat", HISTFILE="/dev/null")

    def run(self) -> list[Problem]:
        try:
            for i in range(len(self.actions)):
                self.perform(i)
            for terminal in self.terminals.values():
                if not terminal.shown:  # a long command that is to say nothing; or a silent server
                    self.wait(lambda: terminal.returned, terminal, self.patience / 2)
                if terminal.returned and terminal.command:
                    self.line = terminal.command.line
                    self.compare(terminal, whole=True)
        except WrongPage as wrong:
            return [self.page.problem(self.line, str(wrong))]
        finally:
            for terminal in self.terminals.values():
                terminal.end()
        return []

    def perform(self, i: int) -> None:
        action = self.actions[i]
        following = [other for other in self.actions[i + 1:] if other.terminal == action.terminal]
        last_of_command = not following or following[0].kind == "command"
        must_return = bool(following) and following[0].kind == "command" and \
            following[0] is self.actions[i + 1]
        terminal = self.terminal(action)
        self.do(action, terminal)
        shown = comparable(action.shown)
        terminal.shown += shown
        terminal.right = terminal.right and not shown
        command = terminal.command
        assert command is not None
        in_background = self.in_background(command)
        only_gaps = bool(shown) and all(map(GAP.fullmatch, shown)) and action.kind != "more"

        def arrived() -> bool:
            real = terminal.lines(self.ports)
            return (terminal.returned and not in_background
                    or fits(terminal.shown, real, whole=False) or gone_astray(terminal.shown, real))

        if must_return or only_gaps:
            self.wait(lambda: terminal.returned or gone_astray(
                terminal.shown, terminal.lines(self.ports)), terminal)
            if not terminal.returned:
                self.compare(terminal, whole=False)
                raise WrongPage(f"{self.about(terminal)} does not return here; if it is to run "
                                "on, show the last line that appears, and ^C where it is ended")
        elif shown:
            self.wait(arrived, terminal)
        else:  # nothing to wait for: leave a silent command time to do its work
            self.wait(lambda: terminal.returned, terminal, 0.01 if action.kind == "more" else 1)
        if in_background:  # it may speak after bash has given its prompt
            self.wait(lambda: fits(terminal.shown, terminal.lines(self.ports), whole=False),
                      terminal, 3)
        self.compare(terminal, whole=False)
        if last_of_command:
            self.wait(lambda: terminal.returned, terminal, SETTLE)
            if terminal.returned:
                self.compare(terminal, whole=True)

    @staticmethod
    def in_background(command: Action) -> bool:
        return re.search(r"(?<![&>])&(?![&>\d])", command.text) is not None

    def terminal(self, action: Action) -> Terminal:
        self.line = action.line
        if action.terminal not in self.terminals:
            if action.kind != "command":
                raise WrongPage(f"nothing runs in terminal {action.terminal} yet")
            terminal = Terminal(self.copy, self.environment)
            self.terminals[action.terminal] = terminal
            if not self.wait(lambda: terminal.returned, terminal):
                raise WrongPage("bash gives no prompt")
        return self.terminals[action.terminal]

    def do(self, action: Action, terminal: Terminal) -> None:
        if action.kind == "command":
            if terminal.command and not self.wait(lambda: terminal.returned, terminal):
                raise WrongPage(f"{self.about(terminal)} still runs in this terminal; show ^C "
                                "where it is ended")
            if terminal.command:
                self.line = terminal.command.line
                self.compare(terminal, whole=True)
                self.line = action.line
            if terminal.ended:
                raise WrongPage("the shell of this terminal has ended")
            sessions = ",".join(str(other.bash.pid) for other in self.terminals.values())
            text = re.sub(r"\b(pgrep|pkill)\b(?= )", rf"\1 --session {sessions}", action.text)
            terminal.begin(action, self.ports.typed(text))
        elif action.kind in ("^C", "^D", "typed"):
            if terminal.returned:
                raise WrongPage(f"{self.about(terminal)} has ended before this "
                                f"{action.text or action.kind}")
            terminal.type({"^C": "\x03", "^D": "\x04"}.get(action.kind, action.text + "\n"))

    def wait(self, done: Callable[[], bool], terminal: Terminal, limit: float = 0.0) -> bool:
        """Until done, or the limit, or as long as the terminal says something now and then.
        All others are listened to as well: nobody shall wait for room in a pipe."""
        started = time.monotonic()
        terminal.heard_at = started
        while not done():
            now = time.monotonic()
            if now > started + limit if limit else now > terminal.heard_at + self.patience:
                return False
            by_master = {other.master: other for other in self.terminals.values()
                         if not other.ended}
            for master in select.select(list(by_master), [], [], 0.02)[0]:
                by_master[master].listen()
        return True

    def about(self, terminal: Terminal) -> str:
        command = terminal.command
        assert command is not None
        return f"`{command.text}` (line {command.line}, terminal {command.terminal})"

    def compare(self, terminal: Terminal, whole: bool) -> None:
        real = terminal.lines(self.ports)
        if terminal.right or fits(terminal.shown, real, whole):
            terminal.right |= whole
            return
        state = "" if terminal.returned else " (and it still runs)"
        raise WrongPage(f"{self.about(terminal)} does not go as shown:\n"
                        + difference(terminal.shown, real, "what happens" + state))


def copy_of(top: Path, to: Path) -> Path:
    for name in files_of(top):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(top / name, to / name, follow_symlinks=False)
    return to


def check_sessions(page: Page, patience: float = 20.0) -> list[Problem]:
    if not any(block.language == "console" for block in page.blocks):
        return []
    with tempfile.TemporaryDirectory(prefix="page-") as directory:
        return Play(page, copy_of(page.top, Path(directory)), patience).run()
