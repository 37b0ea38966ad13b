"""Which errors each call may give, and what may come of it.

Two answers are possible, for a server and a client alike:

  carries_on   nobody notices: every guest is served, every echo is right, the end is clean
  gives_up     at the start: a line on stderr and exit status 1; later: the one guest whom it
               concerns is turned away, with a line on stderr, and all others are served. A
               client says what is wrong and ends with exit status 1

The errors are those of the manual pages, section 2, and of tcp(7). What is left out is left out
for a reason, which stands here too: the sweep complains of a call that it does not find here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Errors that tell of a mistake in the program, not of its surroundings. A right program never
# meets them, and what a wrong one does then is not for us to say.
MISTAKES = "EBADF EFAULT EINVAL ENOTSOCK EOPNOTSUPP"


@dataclass(frozen=True)
class Row:
    carries_on: str = ""
    gives_up: str = ""
    left_out: dict[str, str] = field(default_factory=dict)  # errors: why

    def errors(self) -> list[str]:
        return [*self.carries_on.split(), *self.gives_up.split()]


@dataclass(frozen=True)
class Leave:
    """Something else that may happen, and why that is right."""

    calls: str
    why: str
    chapters: str = "12345"
    errors: str = ""  # "": any
    may_hang: bool = False       # a guest waits in vain
    may_be_silent: bool = False  # a client's last words are lost
    may_wait: bool = False       # a client waits until its patience is over


_EDGE = "an edge-triggered socket would owe an edge for it, which strace does not bring"
_BLOCKING = "only where a call never waits, or has waited for its time-out"

SERVER = {
    "accept4": Row(
        "EINTR ECONNABORTED EPROTO ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH "
        "EMFILE ENFILE ENOBUFS ENOMEM EPERM EOPNOTSUPP ETIMEDOUT ENOSR",
        left_out={"EAGAIN": _EDGE, "EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "bind": Row("", "EACCES EADDRINUSE EADDRNOTAVAIL ENOMEM", {MISTAKES: "mistakes",
                "ELOOP ENAMETOOLONG ENOENT ENOTDIR EROFS": "sockets in the file system"}),
    "brk": Row(left_out={"ENOMEM": "the kernel's own \"no\" is the old end of the heap; -ENOMEM "
                         "glibc takes for an address. test_shortages_one_by_one.py does it"}),
    "clone3": Row("ENOSYS", "EAGAIN ENOMEM EPERM", {
        "EACCES EBUSY EEXIST EINVAL ENOSPC EOPNOTSUPP EUSERS": "cgroups and name spaces"}),
    "close": Row("EINTR EIO ENOSPC EDQUOT", left_out={"EBADF": "a mistake"}),
    "epoll_create1": Row("", "EMFILE ENFILE ENOMEM", {"EINVAL": "a mistake"}),
    "epoll_ctl": Row("", "ENOMEM ENOSPC", {
        "EBADF EEXIST EINVAL ENOENT ELOOP EPERM": "mistakes, for what is a socket"}),
    "epoll_wait": Row("EINTR", left_out={"EBADF EFAULT EINVAL": "mistakes"}),
    "eventfd2": Row("", "EMFILE ENFILE ENODEV ENOMEM", {"EINVAL": "a mistake"}),
    "exit": Row(left_out={"any": "it does not return"}),
    "exit_group": Row(left_out={"any": "it does not return"}),
    "fcntl": Row("EACCES EAGAIN EINTR", left_out={
        "EBADF": "then it is closed: what test_server_words.py does for real"}),
    "futex": Row(left_out={"any": "from a FUTEX_WAKE a mistake: glibc calls abort()"}),
    "getrandom": Row("EAGAIN EINTR ENOSYS", left_out={"EFAULT EINVAL": "mistakes"}),
    "getsockname": Row("", "ENOBUFS", {"EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "listen": Row("", "EADDRINUSE", {"EBADF ENOTSOCK EOPNOTSUPP": "mistakes"}),
    "madvise": Row("EAGAIN EINVAL EIO ENOMEM", left_out={
        "EACCES EBADF EPERM": "for other advice than a stack's that is free again"}),
    "mmap": Row("", "EAGAIN ENFILE ENOMEM EPERM", {
        "EACCES EBADF EEXIST EINVAL ENODEV EOVERFLOW ETXTBSY": "about files, or mistakes"}),
    "mprotect": Row("", "ENOMEM EACCES", {"EINVAL": "a mistake"}),
    "munmap": Row("", "", {"ENOMEM EINVAL": "glibc may take it for damage"}),
    "newfstatat": Row("EACCES ENOMEM EOVERFLOW", left_out={"any other": "about paths"}),
    "poll": Row("EINTR ENOMEM", left_out={"EFAULT EINVAL": "mistakes"}),
    "prlimit64": Row("EPERM EINVAL", left_out={"EFAULT ESRCH": "mistakes"}),
    "pselect6": Row("EINTR ENOMEM", left_out={"EBADF EINVAL": "mistakes"}),
    "read": Row("EINTR", left_out={
        "EAGAIN": "epoll has said that the signal is there, and nobody else takes it",
        "any other": "not for a signalfd"}),
    "recvfrom": Row("EINTR", "ECONNRESET ECONNREFUSED ENOMEM ENOTCONN ETIMEDOUT EHOSTUNREACH EPIPE",
                    {"EAGAIN": _EDGE, "EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "rseq": Row(left_out={"any": "between glibc and the kernel"}),
    "rt_sigaction": Row(left_out={"EINVAL": "for signals that do not exist"}),
    "rt_sigprocmask": Row(left_out={"EFAULT EINVAL": "mistakes"}),
    "rt_sigreturn": Row(left_out={"any": "it never fails"}),
    "sendto": Row("EINTR", "ECONNRESET EPIPE ENOBUFS ENOMEM ENOTCONN ETIMEDOUT EHOSTUNREACH EACCES",
                  {"EAGAIN": _EDGE, "EALREADY EDESTADDRREQ EISCONN EMSGSIZE": "not with TCP",
                   MISTAKES: "mistakes"}),
    "set_robust_list": Row(left_out={"any": "between glibc and the kernel"}),
    "setsockopt": Row("ENOPROTOOPT ENOMEM ENOBUFS", left_out={
        "EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "shutdown": Row("ENOTCONN ENOBUFS", left_out={"EBADF EINVAL ENOTSOCK": "mistakes"}),
    "signalfd4": Row("", "EMFILE ENFILE ENODEV ENOMEM", {"EBADF EINVAL": "mistakes"}),
    "socket": Row("", "EACCES EAFNOSUPPORT EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT",
                  {"EINVAL": "a mistake"}),
    "write": Row("EAGAIN EINTR EIO ENOSPC EPIPE EDQUOT EFBIG EPERM", left_out={
        "EBADF EFAULT EINVAL EDESTADDRREQ": "mistakes; a closed log is in test_server_words.py"}),
}

# A client may give up wherever it says so; only what could not be noticed must not be.
CLIENT = {
    **SERVER,
    "close": Row("EINTR EIO ENOSPC EDQUOT", left_out={"EBADF": "a mistake"}),
    "connect": Row("", "EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN ECONNREFUSED EINTR "
                   "ENETUNREACH EHOSTUNREACH EPERM ETIMEDOUT", {
                       "EINPROGRESS": "what it says anyway",
                       "EALREADY EISCONN EPROTOTYPE": "mistakes", MISTAKES: "mistakes"}),
    "fcntl": Row("", "EACCES EAGAIN EINTR", {"EBADF": "as for a server"}),
    "getpeername": Row("ENOBUFS ENOTCONN", left_out={"EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "getsockname": Row("ENOBUFS", left_out={"EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "getsockopt": Row("", "ENOPROTOOPT ENOBUFS ENOMEM", {
        "EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "poll": Row("EINTR", "ENOMEM", {"EFAULT EINVAL": "mistakes"}),
    "pselect6": Row("EINTR", "ENOMEM", {"EBADF EINVAL": "mistakes"}),
    "read": Row("EINTR", "EIO EISDIR EBADF", {
        "EAGAIN": "a keyboard that blocks never says so", "EFAULT EINVAL": "mistakes"}),
    "setsockopt": Row("", "ENOPROTOOPT ENOMEM ENOBUFS", {
        "EBADF EFAULT EINVAL ENOTSOCK": "mistakes"}),
    "shutdown": Row("", "ENOTCONN ENOBUFS", {"EBADF EINVAL ENOTSOCK": "mistakes"}),
    "write": Row("", "EAGAIN EINTR EIO ENOSPC EPIPE EDQUOT EFBIG EPERM", {
        "EBADF EFAULT EINVAL EDESTADDRREQ": "mistakes; closed ones are tested elsewhere"}),
}

SERVER_LEAVES = (
    Leave("close", "the real close() is skipped: the guest's descriptor stays, he hears nothing",
          may_hang=True),
    Leave("shutdown", "the real one is skipped: no goodbye until the five seconds are over",
          may_hang=True),
)
CLIENT_LEAVES = (
    Leave("recvfrom sendto", "05 has one number for its own time-out and for TCP's. But TCP gives "
          "up after a quarter of an hour, so that the line it then says is true", chapters="5",
          errors="ETIMEDOUT", may_wait=True),
    Leave("write poll", "its last words are such a call too", may_be_silent=True),
    Leave("shutdown", "the real one is skipped: the server cannot hear the goodbye, nor can it "
          "answer", may_wait=True),
)
