"""The faults that every stage has to survive: one list, which the tests and two pages share.

A test says which of them it is about: @pytest.mark.fault(5). What became of it in each chapter
is gathered by support/matrix.py, and stands in docs/faults.md. The numbers have gaps: a row that
turned out to be the same as another one is gone, and nobody else has taken its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

from support.chapters import CHAPTERS


@dataclass(frozen=True)
class Fault:
    number: int
    name: str  # what happens
    provoked: str  # how a test makes it happen
    right: str  # what a server, or a client, should do
    bitten: str  # who has met it
    not_in: Mapping[str, str] = field(default_factory=dict)  # chapter: why it does not apply


ONE, THREADS, SELECT, EPOLL, TASKS = (chapter.name for chapter in CHAPTERS)

AT_ONCE = "one guest at a time: who else comes waits at the door"


def only(*chapters: str, why: str) -> dict[str, str]:
    return {chapter.name: why for chapter in CHAPTERS if chapter.name not in chapters}


RUNTIME = only(TASKS, why="no runtime of its own")
NO_GOODBYE = dict.fromkeys((ONE, THREADS), "a signal ends it, without a goodbye")

FAULTS = (
    Fault(1, "short writes", "a network with send buffers of 4 KiB; slow readers",
          "the rest of the plate is kept, and sent when there is room",
          "whoever ignores what write() returns; curl can switch it on for its tests"),
    Fault(2, "bytes cut up in any way", "one byte a send; a network with packets of 600 bytes",
          "every byte comes back, in order",
          "servers that take one read for one message"),
    Fault(3, "half-close with data pending", "send, end the sending side, then read to the end",
          "all the echo first, then the goodbye",
          "netty (#4317), and whoever takes EPOLLRDHUP for the end"),
    Fault(4, "a goodbye while input is unread", "a guest talks on while the server says goodbye",
          "read to the guest's end before close(), which else resets and destroys the echo",
          "RFC 1122 warns of it", NO_GOODBYE),
    Fault(5, "a reset, in five phases of a visit", "SO_LINGER of 0 seconds, then close()",
          "this guest's descriptor is freed, everybody else is served on",
          "a well-known C tutorial: all of its four servers exit"),
    Fault(6, "SIGPIPE", "stop the server, send 20 kB, reset, let it go on",
          "the write fails, and only the write", "the libuv book (#4)"),
    Fault(7, "a guest who writes everything before he reads", "64 MiB, read only when stuck",
          "he is stuck, nobody else; then he loses nothing. A client reads while it writes",
          "kchat (#1)"),
    Fault(8, "guests who never read", "send until nobody takes more; the server's memory",
          "stop reading from whoever does not take his echo", "libuv's own echo example"),
    Fault(9, "a quick guest beside one who never reads", "fault 8, and a second guest",
          "the second is served", "the select server of a famous textbook, in its write"),
    Fault(10, "no descriptors left", "ulimit -n 16, 30 guests, then 20 of them leave",
          "no spinning, no flood of words; who waits at the door is served later",
          "naive loops burn a core; libuv (#690), tokio (#3529); `accept().await?` ends a server"),
    Fault(11, "accept fails for lack of a resource", "strace makes it ENFILE, ENOBUFS, ENOMEM",
          "as fault 10: wait a little, go on", "memcached does not know ENFILE"),
    Fault(12, "accept fails for a network's reason", "strace makes it ECONNABORTED, EPROTO ...",
          "go on at once", "whoever has not read accept(2) to its end"),
    Fault(13, "EINTR from every call", "each call is interrupted, again and again",
          "try again, lose nothing", "perror(), which overwrites errno before it is looked at"),
    Fault(15, "SIGTERM with data in flight", "in the middle of a transfer",
          "the transfer goes on to its end, for five seconds at most; the exit status is 0",
          "nginx has worker_shutdown_timeout for it"),
    Fault(17, "a signal between the check and the sleep",
          "SIGTERM after random 0 to 50 ms, 20 starts; 200 in the thorough run",
          "it always ends", "the reason for pselect() and signalfd"),
    Fault(18, "descriptors from 1,024 on", "1,100 descriptors inherited; 1,100 guests",
          "select() must refuse them before FD_SET; nobody else notices",
          "oatpp (#926), Nim (#19973)"),
    Fault(19, "more guests than the backlog", "200 come while it is stopped; 20, with somaxconn=4",
          "all of them are served, some after the kernel has tried again", "Cloudflare, 2018"),
    Fault(20, "one event that tells of many things", "16 guests in one event; 1 MiB in one event",
          "go on until EAGAIN", "kecho (#2)"),
    Fault(21, "a guest who floods", "one never pauses, ten wait for each echo",
          "a turn has an end: bytes, or steps, are counted", "Tokio counts to 128, libuv to 32",
          {ONE: AT_ONCE}),
    Fault(24, "a descriptor kept alive by dup or fork", "look at every descriptor in /proc",
          "all are close-on-exec, so that closed means closed", "epoll(7), questions 6 and 9"),
    Fault(25, "EPOLLHUP without end", "a guest who is stuck resets; CPU is counted",
          "close it; no spinning", "seastar (#64)"),
    Fault(26, "no more threads", "ulimit -v, and guests who stay",
          "this guest is turned away, his memory freed, the next one served",
          "microsocks (#103)", {ONE: "no thread for a guest"}),
    Fault(27, "malloc fails", "the n-th call fails, for every n",
          "at the start: exit 1; later: that guest alone is turned away",
          "curl's tests do this for every command"),
    Fault(28, "leaks", "4,000 guests in a row under ulimit -n 24; 100,000 in the thorough run",
          "descriptors, threads and memory stay as they were", "libevent's test-fdleak"),
    Fault(29, "many guests who say nothing",
          "900 to 2,000; in the thorough run 10,000 and 19,000 for 04 and 05",
          "all are served; no CPU while they are silent", "the C10K problem"),
    Fault(30, "slow talkers", "200 guests, a byte now and then, and one in a hurry beside them",
          "the one in a hurry is served", "slowloris; memcached", {ONE: AT_ONCE}),
    Fault(31, "any bytes", "all 256 values, NUL, %n, half a UTF-8 character",
          "the same bytes come back", "who prints a buffer, or takes it for a string"),
    Fault(32, "nothing at all", "500 guests connect and close, or end, or reset",
          "no trace of them", "libuv's tests"),
    Fault(33, "pipelining", "10,000 small messages in one send", "all come back, in order",
          "Redis lives on it"),
    Fault(34, "a huge stream", "64 MiB; 1 GiB in the thorough run",
          "every byte, in bounded memory", "libuv's example grew to 123 MB"),
    Fault(35, "a wake-up that gets lost", "unit tests: woken before, during, after the sleep",
          "the task runs", "QEMU (21a03d17f2)", RUNTIME),
    Fault(37, "woken twice", "unit tests", "polled once; woken while polled: once more",
          "Tokio checks it with loom", RUNTIME),
    Fault(38, "woken after the end", "unit tests, under AddressSanitizer too",
          "nothing happens", "tokio (#1972)", RUNTIME),
    Fault(39, "cancelled with I/O pending", "unit tests: a descriptor used again",
          "the new owner hears nothing of the old one", "the reason for Tokio's cancel safety",
          RUNTIME),
    Fault(40, "timers", "unit tests: earlier, 0, huge, cancelled, 10,000 of them",
          "each ends once, and never early", "tokio (#3190)", RUNTIME),
    Fault(41, "a task that never waits", "unit test: two yield for ever beside an echo",
          "the echo is answered", "tokio (#4730)", RUNTIME),
    Fault(42, "the end, with tasks pending", "unit tests: 100 tasks",
          "each is dropped once", "Tokio's rt_common tests", RUNTIME),
    Fault(43, "the port is in use, or was a moment ago", "start it twice; start it again",
          "an error and exit 1; a restart works", "whoever forgets SO_REUSEADDR"),
    Fault(44, "ports that are none", '"", abc, -1, 65536, 80x, 1e3', "the usage, and exit 2",
          "atoi() takes them all"),
    Fault(45, "a port one may not have", "port 80 as nobody, in a network of its own",
          "Permission denied, exit 1", "bind(2)"),
    Fault(46, "IPv6 and names", "::1, localhost, an unknown name; a name with three addresses",
          "each address is tried in its turn; an error says the name", "curl"),
    Fault(48, "a client that meets itself", "a network with one port to hand out, and no server",
          "the client compares both ends, and refuses", "TCP itself allows it"),
    Fault(50, "nobody reads the log",
          "a pipe nobody reads, 1,200 guests; 3,000 in the thorough run",
          "the service goes on", "a server that hung after 2,002 guests"),
    Fault(55, "data races", "guests at once in a build with ThreadSanitizer",
          "no report", "libuv runs it for every change",
          only(THREADS, TASKS, why="one thread: nobody to race with")),
)

BY_NUMBER = {fault.number: fault for fault in FAULTS}
