"""The errors of each call, by its manual page, and what may come of them.

Left of the bar nobody may notice anything: every connection is served, every echo is right.
Right of it the error may be reported. At start: a line on stderr and exit status 1, before
"listening". Later: one connection is turned away, with a line on stderr, and all others are
served. A client: a line on stderr and exit status 1.

"ENOMEM+" is a shortage that stays: every later call fails too, and any connection may suffer.
What reports a mistake in the program (EBADF, EFAULT, EINVAL, ENOTSOCK) is left out.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple


class Failure(NamedTuple):
    call: str
    error: str
    stays: bool
    unnoticed: bool
    quick: bool  # also without THOROUGH=1: the first of each side, and shortages that stay


def _read(text: str) -> Iterator[Failure]:
    for line in text.strip().replace("\\\n", " ").splitlines():
        call, _, errors = line.partition(" ")
        for side, names in enumerate(errors.split("|")):
            for index, name in enumerate(names.split()):
                stays = name.endswith("+")
                yield Failure(call, name.rstrip("+"), stays, side == 0, stays or index == 0)


_BOTH = [*_read(r"""
bind            | EACCES EADDRINUSE EADDRNOTAVAIL ENOMEM
calloc          | ENOMEM ENOMEM+
close           EINTR EIO ENOSPC EDQUOT |
connect         | ECONNREFUSED EACCES EADDRNOTAVAIL EHOSTUNREACH EINTR ENETUNREACH EPERM ETIMEDOUT
dup2            EINTR EBUSY EMFILE |
epoll_create1   | EMFILE ENFILE ENOMEM
epoll_ctl       | ENOMEM ENOSPC
epoll_wait      EINTR |
eventfd         | EMFILE ENFILE ENODEV ENOMEM
eventfd_write   EINTR EAGAIN |
fstat           ENOMEM EACCES EOVERFLOW |
getaddrinfo     | ENOMEM EMFILE
getpeername     | ENOBUFS ENOTCONN
getsockname     | ENOBUFS
getsockopt      | ENOBUFS ENOMEM ENOPROTOOPT
listen          | EADDRINUSE
malloc          | ENOMEM ENOMEM+
mmap            | ENOMEM ENOMEM+ EAGAIN ENFILE EPERM
open            EMFILE EACCES EINTR ENFILE ENOMEM ENXIO |
pthread_create  | EAGAIN EAGAIN+ EPERM
realloc         | ENOMEM ENOMEM+
recv            EINTR | ECONNRESET ECONNREFUSED EHOSTUNREACH ENOMEM ENOTCONN EPIPE ETIMEDOUT
send            EINTR | ECONNRESET EACCES EHOSTUNREACH ENOBUFS ENOMEM ENOTCONN EPIPE ETIMEDOUT
shutdown        ENOTCONN ENOBUFS |
signalfd        | EMFILE ENFILE ENODEV ENOMEM
socket          | EMFILE EACCES EAFNOSUPPORT ENFILE ENOBUFS ENOMEM
""")]

SERVER = [*_BOTH, *_read(r"""
accept4         ECONNABORTED EMFILE EAGAIN EHOSTDOWN EHOSTUNREACH EINTR ENETDOWN ENETUNREACH \
                ENFILE ENOBUFS ENOMEM ENONET ENOPROTOOPT ENOSR EPERM EPROTO ETIMEDOUT |
poll            EINTR ENOMEM |
read            EINTR |
select          EINTR ENOMEM |
setsockopt      ENOBUFS ENOMEM ENOPROTOOPT |
write           EIO EAGAIN EDQUOT EFBIG EINTR ENOSPC EPERM EPIPE |
""")]

CLIENT = [*_BOTH, *_read(r"""
poll            EINTR | ENOMEM
read            EINTR | EIO
select          EINTR | ENOMEM
setsockopt      | ENOBUFS ENOMEM ENOPROTOOPT
write           EINTR | EIO EAGAIN EDQUOT EFBIG ENOSPC EPERM EPIPE
""")]

# What else the programs call: it cannot fail, or it has nothing to do with the system.
# (Ubuntu's gcc guards the stack: __stack_chk_fail.)
OTHER = (r"_.*|stack_fail|fdelt|bcmp|str\w+|mem\w+|\w*printf|fwrite|fflush|sig\w+|v?errx?|v?warnx?"
         r"|exit|abort|free|usleep|pthread_(self|detach|join|mutex_\w+|cond_\w+|attr_\w+|sigmask)"
         r"|sem_\w+|munmap|mallopt|malloc_trim|fcntl|getopt_long|get(name|rlimit)\w*|setrlimit|ioctl"
         r"|gai_strerror|freeaddrinfo|nanosleep|tcgetsid|clock_gettime|getenv|raise"
         r"|program_invocation_short_name|std(in|out|err)|opt(ind|arg)")
