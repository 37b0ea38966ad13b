"""What every server and client here must survive: one row a fault.

A test says which fault it is about: @pytest.mark.fault(5). What became of it, in each chapter,
is gathered by plugin.py and stands in docs/faults.md. The numbers have gaps: a row that turned
out to be the same as another is gone, and its number stays unused.
"""

from __future__ import annotations

from typing import NamedTuple

CHAPTERS = ("01-blocking", "02-threads", "03-select", "04-epoll", "05-async-tasks")
ONE, THREADS, SELECT, EPOLL, TASKS = CHAPTERS


class Fault(NamedTuple):
    number: int
    name: str
    tried: str  # how a test provokes it
    cannot: dict[str, str] = {}  # a chapter where it cannot happen, and why


def except_in(*chapters: str, why: str) -> dict[str, str]:
    return {chapter: why for chapter in CHAPTERS if chapter not in chapters}


def only_in(chapter: str, number: int, name: str, tried: str) -> Fault:
    """A fault of the runtime, which is 05's alone."""
    return Fault(number, name, tried, except_in(chapter, why="no runtime"))


DEFAULT_ACTION = {ONE: "a signal ends it", THREADS: "a signal ends it"}
ONE_AT_A_TIME = {ONE: "one connection at a time"}

FAULTS = (
    Fault(1, "short writes", "send buffers of 4 KiB; clients that read slowly"),
    Fault(2, "input cut up in any way", "one byte a send; packets of 600 bytes"),
    Fault(3, "half-close with data pending", "send, shut down, then read to the end"),
    Fault(4, "close with unread input", "a client that keeps sending while the server ends",
          DEFAULT_ACTION),
    Fault(5, "a reset at any moment", "SO_LINGER of 0, close(), in five phases of a connection"),
    Fault(6, "SIGPIPE", "a reset, then the server writes"),
    Fault(7, "a client that sends everything before it reads", "64 MiB"),
    Fault(8, "clients that never read", "they send until nothing more is taken; VmHWM"),
    Fault(9, "a quick client beside one that never reads", "fault 8, and one more client"),
    Fault(10, "no descriptors left", "10 to spare, 30 clients, of which 20 leave"),
    Fault(11, "accept fails for lack of something", "ENFILE, ENOBUFS, ENOMEM, injected"),
    Fault(12, "accept fails for the network", "ECONNABORTED, EPROTO and others, injected"),
    Fault(13, "EINTR from every call", "injected, again and again"),
    Fault(15, "SIGTERM with data in flight", "in the middle of 8 MB"),
    Fault(17, "a signal between check and sleep", "SIGTERM 0 to 50 ms after the start"),
    Fault(18, "descriptors from 1,024 on", "1,100 inherited descriptors; 1,100 clients"),
    Fault(19, "more connections than the backlog holds", "200 while the server is stopped"),
    Fault(20, "one event for many things", "16 connections, or 1 MiB, in one event"),
    Fault(21, "a client that floods", "one never pauses, ten wait for each echo", ONE_AT_A_TIME),
    Fault(24, "descriptors that a child inherits", "each one in /proc is close-on-exec"),
    Fault(25, "HUP and ERR for ever", "a client that never read resets; CPU ticks"),
    Fault(26, "no more threads", "ulimit -v, and clients that stay",
          {**except_in(THREADS, why="one thread"), TASKS: "no thread for a connection"}),
    Fault(27, "malloc fails", "each call in turn, injected"),
    Fault(28, "leaks", "1,000 connections in a row, and 20 descriptors to spare"),
    Fault(29, "many silent clients", "900 to 2,000 connections; CPU ticks"),
    Fault(30, "slow senders", "200 that send a byte now and then, and one in a hurry",
          ONE_AT_A_TIME),
    Fault(31, "any bytes", "all 256 values, NUL, %n, half a character"),
    Fault(32, "connections without a byte", "500 that close, shut down or reset at once"),
    Fault(33, "pipelining", "10,000 small messages in one send"),
    Fault(34, "a huge stream", "64 MiB"),
    only_in(TASKS, 35, "a lost wake-up", "woken before, during and after the sleep"),
    only_in(TASKS, 37, "woken twice", "in the queue; while it is polled"),
    only_in(TASKS, 38, "woken after its end", "under AddressSanitizer too"),
    only_in(TASKS, 39, "cancelled while it waits for I/O", "the descriptor is used again"),
    only_in(TASKS, 40, "timers", "earlier ones, 0, huge, cancelled, 10,000"),
    only_in(TASKS, 41, "a task that never waits", "two that yield for ever, beside an echo"),
    only_in(TASKS, 42, "the end with tasks pending", "100 tasks"),
    Fault(43, "the port is in use, or was just now", "started twice; restarted"),
    Fault(44, "bad ports", '"", abc, -1, 65536, 80x, 1e3'),
    Fault(45, "a port that needs root", "port 80, without the right to it"),
    Fault(46, "IPv6 and names", "::1, localhost, an unknown name"),
    Fault(48, "a client that connects to itself", "one port to hand out, and no server"),
    Fault(50, "nobody reads the log", "an unread pipe, 1,200 connections"),
    Fault(55, "data races", "ThreadSanitizer",
          except_in(THREADS, TASKS, why="one thread")),
    Fault(56, "a terminal that nobody reads", "a pty as stdout and stderr"),
    Fault(57, "a log at its size limit", "ulimit -f"),
    Fault(58, "input that arrived before SIGTERM", "stopped, sent to, SIGTERM, continued",
          DEFAULT_ACTION),
    Fault(59, "stopped for longer than a time limit", "SIGSTOP; input arrives; SIGCONT"),
    Fault(60, "memory kept after a stuck crowd", "many that never read, then gone; VmRSS",
          ONE_AT_A_TIME),
    Fault(61, "urgent bytes before accept", "MSG_OOB twice while the server is stopped"),
    Fault(62, "stdin of every kind", "a non-blocking pipe, a terminal, /dev/null, closed"),
    Fault(63, "SIGTERM blocked by the parent", "sigprocmask before exec"),
    Fault(64, "a failure at start", "epoll_create1, signalfd, pthread_create and others fail"),
    Fault(65, "a peer that vanishes", "the network goes down between two messages"),
    Fault(66, "stuck at SIGTERM, then reads", "both buffers full; it reads some ticks later",
          DEFAULT_ACTION),
    Fault(67, "one signal delivered twice", "SIGTERM twice within 1 ms; 12 MB under way",
          DEFAULT_ACTION),
    Fault(68, "stdout of the client is non-blocking", "a slow pipe, 8 MB"),
    Fault(69, "addresses that do not answer", "three dead addresses, then one that lives"),
    Fault(70, "signals ignored at start", "nohup; `./server &` in a script"),
)

BY_NUMBER = {fault.number: fault for fault in FAULTS}
