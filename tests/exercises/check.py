#!/usr/bin/env python3
"""Tries the reader's solution of an exercise; `make exercise-03a` at the top calls it.

    check.py 03a        builds the server of chapter 3 as it stands now, and tries it
    check.py --prove    all of them, both ways: the chapter as it is committed must fail, and
                        with docs/solutions/03a.patch it must pass
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, Optional

TOP = Path(__file__).resolve().parents[2]
PATIENCE_S = 10.0
THREAD_SANITIZER = "-O1 -g -fsanitize=thread"


class NotYet(Exception):
    """What the solution does not do yet."""


class Server:
    def __init__(self, directory: Path, program: str) -> None:
        self.directory = directory
        self.errors = open(directory / "errors", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [f"./{program}", "--port", "0", "--quiet"], cwd=directory, text=True,
            stdout=subprocess.PIPE, stderr=self.errors)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise NotYet(f"./{program} does not start:\n" + self.said())
        self.port = int(line.rsplit(":", 1)[1])

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def client(self) -> "Client":
        return Client(self.port)

    def descriptors(self) -> dict[int, str]:
        home = f"/proc/{self.process.pid}/fd"
        return {int(fd): os.readlink(f"{home}/{fd}") for fd in os.listdir(home)}

    def must_be_lazy(self) -> None:
        """It shall not use the processor while nobody says anything."""
        used = Path(f"/proc/{self.process.pid}/schedstat")
        before = int(used.read_text().split()[0])
        time.sleep(1)
        if int(used.read_text().split()[0]) - before > 300e6:
            raise NotYet("it is busy while nobody says anything (see `top`)")


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, expected: bytes, what: str) -> None:
        heard = b""
        while len(heard) < len(expected):
            try:
                data = self.socket.recv(len(expected) - len(heard))
            except OSError as error:
                raise NotYet(f"{what}: {error} after {heard[-60:]!r}") from None
            heard += data
            if not data:
                break
        if expected.startswith(heard) and heard != expected:
            raise NotYet(f"{what}: the end came after {len(heard)} of {len(expected)} bytes")
        if heard != expected:
            raise NotYet(f"{what}: expected {expected[:60]!r}, heard {heard[:60]!r}")

    def can_hear(self, within: float) -> bool:
        return bool(select.select([self.socket], [], [], within)[0])

    def must_be_silent(self, why: str) -> None:
        if self.can_hear(1.5):
            raise NotYet(f"heard {self.socket.recv(100)!r}, {why}")

    def must_end(self, what: str) -> None:
        try:
            data = self.socket.recv(100)
        except OSError as error:
            raise NotYet(f"{what}: {error} instead of an orderly end") from None
        if data:
            raise NotYet(f"{what}: heard {data!r} instead of the end")

    def say_meanwhile(self, data: bytes) -> None:
        def try_it() -> None:
            with contextlib.suppress(OSError):  # whoever hears the echo tells
                self.say(data)

        threading.Thread(target=try_it, daemon=True).start()

    def echoes(self, data: bytes, what: str) -> None:
        """Sends and reads at the same time, as there may be much of it."""
        self.say_meanwhile(data)
        self.hear(data, what)

    def leave(self) -> None:
        self.socket.close()


def upper_case(server: Server) -> None:
    client = server.client()
    for word, answer in ((b"hello", b"HELLO"), (b"Tokio 1.0!\n", b"TOKIO 1.0!\n"), (b"x", b"X")):
        client.say(word)
        client.hear(answer, f"said {word!r}")
    everything = bytes(range(256)) * 400
    client.say_meanwhile(everything)
    client.hear(everything.upper(), "said every byte there is, 400 times")


def greeting(server: Server) -> None:
    first, second = server.client(), server.client()
    first.hear(b"Welcome!\n", "a client that has said nothing")
    first.say(b"hello")
    first.hear(b"hello", "said 'hello' after the greeting")
    first.leave()
    second.hear(b"Welcome!\n", "the second client, when the first has left")


def full_house(server: Server) -> None:
    guests = [server.client() for _ in range(10)]
    for guest in guests:
        guest.say(b"hello")
        guest.hear(b"hello", "one of the first ten")
    for _ in range(20):
        late = server.client()
        late.say(b"Is there a table? " * 50)
        late.hear(b"Sorry, full.\n", "the eleventh, which spoke first")
        late.must_end("the eleventh, after the apology")
    lingering = server.client()
    lingering.hear(b"Sorry, full.\n", "one more, which stays after the apology")
    guests.pop().leave()
    until = time.monotonic() + PATIENCE_S
    while True:  # the server may need a moment to notice
        with contextlib.suppress(NotYet):
            again = server.client()
            again.say(b"hello")
            again.hear(b"hello", "")
            break
        if time.monotonic() > until:
            raise NotYet("one of ten has left, and still nobody else is let in")
        again.leave()
        time.sleep(0.05)
    lingering.leave()


def numbers(server: Server) -> None:
    guests = [server.client() for _ in range(50)]
    told = []
    for guest in guests:
        line = b""
        while not line.endswith(b"\n"):
            line += guest.socket.recv(1) or b"(the end)\n"
        match = re.fullmatch(rb"You are number (\d+)\.\n", line)
        if match is None:
            raise NotYet(f"expected 'You are number N.', heard {line!r}")
        told.append(int(match[1]))
        guest.say(b"hello")
        guest.hear(b"hello", "said 'hello' after the greeting")
    if sorted(told) != list(range(1, 51)):
        raise NotYet(f"fifty were there, and these were their numbers: {sorted(told)}")
    for guest in guests:
        guest.leave()
    time.sleep(0.5)
    if "ThreadSanitizer" in server.said():
        raise NotYet("a data race:\n" + server.said()[:1500])


def no_edge(server: Server) -> None:
    guests = [server.client() for _ in range(1100)]
    for guest in guests:
        guest.say(b"hello")
    for i, guest in enumerate(guests, start=1):
        guest.hear(b"hello", f"guest number {i}")
    if any("eventpoll" in what for what in server.descriptors().values()):
        raise NotYet("that is epoll, and the next chapter; this one wants poll")
    server.must_be_lazy()


def old_way(server: Server) -> None:
    if any("signalfd" in what for what in server.descriptors().values()):
        raise NotYet("there is still a signalfd")
    silent = server.client()
    with contextlib.ExitStack() as stack:
        for _ in range(8):  # each sends and reads as fast as it can
            talker = subprocess.Popen(
                ["./client", "--port", str(server.port), "-"], cwd=server.directory,
                stdin=stack.enter_context(open("/dev/zero", "rb")), stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            stack.callback(talker.wait)
            stack.callback(talker.kill)
        time.sleep(1)
        must_end_cleanly(server, silent)


def must_end_cleanly(server: Server, silent: Client) -> None:
    server.process.send_signal(signal.SIGTERM)
    try:
        silent.must_end("a silent client, after SIGTERM")
        if server.process.wait(PATIENCE_S) != 0:
            raise NotYet(f"its exit status was {server.process.returncode}, not 0")
    except subprocess.TimeoutExpired:
        raise NotYet("SIGTERM was sent to the busy server, and it does not end") from None


def edges(server: Server) -> None:
    talker = server.client()
    talker.echoes(b"hello", "said 'hello'")
    epoll = next((fd for fd, what in server.descriptors().items() if "eventpoll" in what), None)
    if epoll is None:
        raise NotYet("there is no epoll")
    watched = Path(f"/proc/{server.process.pid}/fdinfo/{epoll}").read_text(encoding="utf-8")
    events = {int(fd): int(bits, 16)
              for fd, bits in re.findall(r"tfd:\s*(\d+) events:\s*(\w+)", watched)}
    if not events[max(events)] & 1 << 31:
        raise NotYet(f"the connection is watched without EPOLLET ({events[max(events)]:x})")
    floods = [server.client() for _ in range(3)]
    for flood in floods:  # they read nothing for now
        flood.say_meanwhile(bytes(8_000_000))
    talker.echoes(b"word" * 500_000, "two million bytes, while others do not read")
    for flood in floods:
        flood.hear(bytes(8_000_000), "eight million bytes, read late")
    server.must_be_lazy()


def time_to_go(server: Server) -> None:
    silent, talker, slow = server.client(), server.client(), server.client()
    slow.say_meanwhile(bytes(30_000_000))
    started = time.monotonic()
    for _ in range(8):
        talker.say(b"word")
        talker.hear(b"word", "a client that says a word each half second")
        time.sleep(0.5)
    slow.hear(bytes(30_000_000), "a client that was slow to take its echo, and not silent")
    silent.socket.settimeout(0.1)
    silent.must_end("a client that was silent for four seconds")
    talker.must_end("a client that has fallen silent")
    if time.monotonic() - started < 5:
        raise NotYet("a client was sent away that had been silent for less than a second")
    server.must_be_lazy()


def name_first(server: Server) -> None:
    slow = server.client()
    slow.hear(b"Your name? ", "a new client")
    for byte in b"Drip\n":
        slow.say(bytes([byte]))
        time.sleep(0.05)
    slow.hear(b"Welcome, Drip!\n", "a name that came byte by byte")
    slow.echoes(b"drip\n" * 100_000, "orders after the name")
    slow.leave()
    quick = server.client()
    quick.hear(b"Your name? ", "the next client")
    quick.say(b"Blink\none soup\n")
    quick.hear(b"Welcome, Blink!\none soup\n", "a name and an order in one piece")


def one_sentence(server: Server) -> None:
    hesitant = server.client()
    hesitant.hear(b"Your name? ", "a new client")
    hesitant.say(b"Hu")
    name_first(server)
    hesitant.say(b"sh\n")
    hesitant.hear(b"Welcome, Hush!\n", "half a name, then other clients, then the other half")


def name_of_a_task(server: Server) -> None:
    one_sentence(server)
    thinker = server.client()
    thinker.hear(b"Your name? ", "a client that thinks about its name")
    thinker.socket.settimeout(3)
    must_end_cleanly(server, thinker)


def bell(server: Server) -> None:
    client, pipe = server.client(), server.directory / "bell"
    for word in (b"word", b"another", b"and a third"):
        client.say(word)
        client.must_be_silent("and nobody has rung the bell since it said a word")
        until = time.monotonic() + PATIENCE_S
        while not client.can_hear(0.5) and time.monotonic() < until:
            ring(pipe)
        client.hear(word, "the bell has been rung")
        ring(pipe)  # before the next word: it does not count
    server.must_be_lazy()


def ring(pipe: Path) -> None:
    """echo >bell"""
    try:
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise NotYet(f"nobody listens to {pipe.name}: {error.strerror}") from None
    os.write(end, b"\n")
    os.close(end)


def patience(server: Server) -> None:
    silent, stuck, talker = server.client(), server.client(), server.client()
    stuck.socket.settimeout(0.5)
    with contextlib.suppress(socket.timeout):  # until nobody takes any more
        stuck.say(bytes(64_000_000))
    talker.say(b"word")
    talker.hear(b"word", "a client that reads, beside one that does not")
    time.sleep(1)
    for _ in range(4):
        try:
            stuck.say(bytes(64_000_000))
        except socket.timeout:
            time.sleep(0.5)
        except OSError:
            break
    else:
        raise NotYet("a client that has not read for five seconds is still there")
    silent.say(b"word")
    silent.hear(b"word", "a client that was silent meanwhile: that is no crime")
    talker.echoes(b"word" * 500_000, "two million bytes, read at once")


def chat_that_waits(server: Server) -> None:
    slow = server.client()
    slow.echoes(b"?", "a member that is alone")
    speaker = server.client()
    speaker.echoes(b"!", "the second member")
    slow.hear(b"!", "the first member")
    text = bytes(range(256)) * 40_000
    speaker.say_meanwhile(text)
    hearing = threading.Thread(target=hear_all, args=(speaker, text), daemon=True)
    hearing.start()
    time.sleep(2)  # long enough to send it all, if nobody waits
    if not hearing.is_alive():
        raise NotYet("all has been said, and one member has not heard it yet")
    slow.hear(text, "a member that reads late")
    hearing.join(PATIENCE_S)
    if hearing.is_alive():
        raise NotYet("the slow member has heard all, and the speaker has not")
    server.must_be_lazy()


def hear_all(member: Client, text: bytes) -> None:
    with contextlib.suppress(NotYet):
        member.hear(text, "")


EXERCISES: dict[str, Callable[[Server], None]] = {
    "01a": upper_case, "01b": greeting, "01c": name_first, "02a": full_house, "02b": numbers,
    "03a": no_edge, "03b": old_way, "04a": edges, "04b": time_to_go,
    "04c": one_sentence, "05a": name_of_a_task, "05b": bell,
    "05c": patience, "05d": chat_that_waits,
}
PROGRAMS = {"05b": "examples/leaf", "05d": "examples/chat"}  # the others: server


@contextlib.contextmanager
def copy_of_chapter(number: str, patch: Optional[Path]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="exercise-") as place:
        copy = Path(place, "chapter")
        shutil.copytree(next(TOP.glob(f"{number}-*")), copy,
                        ignore=shutil.ignore_patterns("server", "client", "*.o"))
        if patch is not None:
            subprocess.run(["git", "apply", patch], cwd=copy, check=True,
                           env={**os.environ, "GIT_CEILING_DIRECTORIES": place})
        yield copy


def attempt(name: str, patch: Optional[Path] = None) -> str:
    """Returns what is missing; nothing if it is solved."""
    program = PROGRAMS.get(name, "server")
    with copy_of_chapter(name[:2], patch) as directory:
        for flags in ["", THREAD_SANITIZER] if name == "02b" else [""]:
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith("MAKE")}
            made = subprocess.run(
                ["make", "-B", "-s", program if "/" in program else "all",
                 *([f"CFLAGS={flags}"] if flags else [])],
                cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, check=False)
            if made.returncode != 0:
                return "it does not build:\n" + made.stdout
            server = None
            try:
                server = Server(directory, program)
                EXERCISES[name](server)
            except (NotYet, OSError) as missing:
                return str(missing)
            finally:
                if server is not None:
                    server.process.kill()
                    server.process.wait()
    return ""


def prove() -> int:
    wrong = 0
    for name in EXERCISES:
        before = attempt(name)
        after = attempt(name, TOP / "docs" / "solutions" / f"{name}.patch")
        wrong += not before or bool(after)
        print(f"{name}: {'fails as it stands' if before else 'PASSES AS IT STANDS'}, "
              f"{after or 'passes with the solution'}", flush=True)
    return 1 if wrong else 0


def main(arguments: list[str]) -> int:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments == ["--prove"]:
        return prove()
    if len(arguments) != 1 or arguments[0] not in EXERCISES:
        print(f"usage: check.py EXERCISE, one of {' '.join(EXERCISES)}", file=sys.stderr)
        return 2
    missing = attempt(arguments[0])
    print(f"exercise {arguments[0]}: {f'not yet. {missing}' if missing else 'solved.'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
