/* inject.c: a libc whose calls fail on demand. It needs no ptrace and no privileges:
 *
 *     INJECT='send:12@3 cut=1' LD_PRELOAD=./inject.so ./server
 *
 *   CALL:E@N    the Nth CALL fails with errno number E; the real call is not made
 *   CALL:E@N-M  the Nth to the Mth
 *   CALL:E@N+   the Nth and all after it
 *   eintr=N     one in N of the calls that may block is interrupted (EINTR)
 *   eagain=N    one in N recv, send, accept4 on a non-blocking socket reports EAGAIN
 *   cut=N       a send moves N bytes at most, a recv 3 * N, epoll_wait returns one event
 *   clock=N     time passes N times as fast: the clock, and every timeout
 *   names=A,B   the name "many.test" has the addresses A, B ... in this order
 *
 * The file INJECT_NOTE exists as soon as a CALL has failed.
 *
 * Every injected result is one that the kernel could have given. Edge-triggered epoll is
 * the difficult case. A program that was told EAGAIN, or that got fewer bytes than it
 * asked for, may wait for the next edge (epoll(7)). Here nothing has changed in the
 * kernel, so that edge would never come. rearm() repeats the registration: the kernel
 * looks again, and reports a socket that is ready.
 *
 * Calls that libc makes itself (in stdio, in getaddrinfo) are not seen; its mallocs are.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* its inline functions would collide with ours */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_RULES 16
#define MAX_FD 65536 /* descriptors above are left alone */

#define REAL(name)                                             \
    __extension__({                                            \
        static __typeof__(name) *real;                         \
        if (real == NULL)                                      \
            *(void **)&real = dlsym(RTLD_NEXT, #name);         \
        real;                                                  \
    })

/* ---- the rules ---------------------------------------------------------------------- */

static struct rule {
    char name[24];
    int error;
    long first, last; /* of the calls that fail; or the N of name=N */
    char *text;       /* what stands behind the = */
    atomic_long calls;
} rules[MAX_RULES];

__attribute__((constructor)) static void read_rules(void)
{
    const char *all = getenv("INJECT");
    char *rest = strdup(all != NULL ? all : ""), *word, after = 0;
    struct rule *rule = rules;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '\0')
            continue;
        int found = sscanf(word, "%23[a-z_0-9]:%d@%ld%c%ld", rule->name, &rule->error,
                           &rule->first, &after, &rule->last);
        if (found < 5)
            rule->last = found == 3 ? rule->first : INT64_MAX;
        bool right = found == 3 || (found == 4 && after == '+') || (found == 5 && after == '-');
        rule->text = strchr(word, '=');
        if (rule->text != NULL)
            rule->first = atol(++rule->text);
        if ((rule->text == NULL && !right) || ++rule == rules + MAX_RULES)
            _exit(99); /* a test with a mistake must not look like a success */
    }
}

/* The rule name=N, or NULL: not asked for. */
static struct rule *setting(const char *name)
{
    for (struct rule *rule = rules; *rule->name; rule++)
        if (rule->text != NULL && strcmp(rule->name, name) == 0)
            return rule;
    return NULL;
}

/* Returns the error with which this call is to fail, or 0. */
static int injected(const char *call)
{
    const char *note = getenv("INJECT_NOTE");
    int error = 0;

    for (struct rule *rule = rules; *rule->name; rule++) {
        if (rule->text != NULL || strcmp(rule->name, call) != 0)
            continue;
        long number = atomic_fetch_add(&rule->calls, 1) + 1;
        if (number >= rule->first && number <= rule->last)
            error = rule->error;
    }
    if (error != 0 && note != NULL)
        (void)mknod(note, S_IFREG | 0600, 0); /* this takes no descriptor */
    return error;
}

/* The same for a call that reports it in errno. */
static bool fails(const char *call)
{
    int error = injected(call);
    errno = error != 0 ? error : errno;
    return error != 0;
}

/* One in N, by a die that falls the same in each run. With every Nth call, a loop of N
 * calls would fail at the same place in every round and never get past it. */
static bool one_in_n(const char *name)
{
    struct rule *rule = setting(name);

    if (rule == NULL)
        return false;
    uint64_t die = (uint64_t)(atomic_fetch_add(&rule->calls, 1) + 1) * 0x9e3779b97f4a7c15;
    die = (die ^ die >> 32) * 0x9e3779b97f4a7c15 >> 32;
    return die % (uint64_t)rule->first == 0;
}

/* ---- calls that fail or are made ---------------------------------------------------- */

/* Defines a function that returns -1 if a rule says so. */
#define CALL(type, name, parameters, arguments)                \
    type name parameters                                       \
    {                                                          \
        return fails(#name) ? (type)-1 : REAL(name) arguments; \
    }

CALL(int, socket, (int family, int type, int protocol), (family, type, protocol))
CALL(int, bind, (int fd, __CONST_SOCKADDR_ARG at, socklen_t size), (fd, at, size))
CALL(int, listen, (int fd, int backlog), (fd, backlog))
CALL(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t size), (fd, to, size))
CALL(int, getsockname, (int fd, __SOCKADDR_ARG at, socklen_t *restrict size),
     (fd, at, size))
CALL(int, getpeername, (int fd, __SOCKADDR_ARG at, socklen_t *restrict size),
     (fd, at, size))
CALL(int, getsockopt, (int fd, int level, int name, void *restrict value,
     socklen_t *restrict size), (fd, level, name, value, size))
CALL(int, epoll_create1, (int flags), (flags))
CALL(int, eventfd, (unsigned count, int flags), (count, flags))
CALL(int, eventfd_write, (int fd, eventfd_t value), (fd, value))
CALL(int, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
CALL(int, dup2, (int from, int to), (from, to))
CALL(int, fstat, (int fd, struct stat *status), (fd, status))
CALL(void *, mmap, (void *at, size_t length, int protection, int flags, int fd,
     off_t offset), (at, length, protection, flags, fd, offset))

/* Like the kernel, these do their work even when they report an error. */
#define DONE_ALL_THE_SAME(name, parameters, arguments)         \
    int name parameters                                        \
    {                                                          \
        int done = REAL(name) arguments;                       \
        return fails(#name) ? -1 : done;                       \
    }

DONE_ALL_THE_SAME(close, (int fd), (fd))
DONE_ALL_THE_SAME(shutdown, (int fd, int how), (fd, how))

int open(const char *path, int flags, ...)
{
    va_list mode;
    va_start(mode, flags);
    int fd = fails("open") ? -1 : REAL(open)(path, flags, va_arg(mode, mode_t));
    va_end(mode);
    return fd;
}

int pthread_create(pthread_t *restrict id, const pthread_attr_t *restrict attributes,
                   void *(*start)(void *), void *restrict argument)
{
    int error = injected("pthread_create");
    return error != 0 ? error : REAL(pthread_create)(id, attributes, start, argument);
}

/* By glibc's own names for its allocator: dlsym() might call malloc() itself. */
#define ALLOCATE(name, parameters, arguments)                  \
    void *__libc_##name parameters;                            \
    void *name parameters                                      \
    {                                                          \
        return fails(#name) ? NULL : __libc_##name arguments;  \
    }

ALLOCATE(malloc, (size_t size), (size))
ALLOCATE(calloc, (size_t count, size_t size), (count, size))
ALLOCATE(realloc, (void *block, size_t size), (block, size))

/* ---- epoll: what it watches, so that edges come --------------------------------------- */

static struct {
    int epoll_fd;
    struct epoll_event event;
} watched[MAX_FD]; /* by descriptor; what is closed stays, and does no harm */

int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    /* To remove one needs no memory, so it cannot fail. */
    if ((operation != EPOLL_CTL_DEL && fails("epoll_ctl")) ||
        REAL(epoll_ctl)(epoll_fd, operation, fd, event) == -1)
        return -1;
    if (fd < MAX_FD && event != NULL) {
        watched[fd].epoll_fd = epoll_fd;
        watched[fd].event = *event;
    }
    return 0;
}

/* A registration with EPOLLEXCLUSIVE cannot be modified (EINVAL), but removed and added. */
static void rearm(int fd)
{
    if (fd < 0 || fd >= MAX_FD)
        return;
    int saved = errno, epoll_fd = watched[fd].epoll_fd;
    struct epoll_event *event = &watched[fd].event;
    if ((event->events & EPOLLET) != 0 &&
        REAL(epoll_ctl)(epoll_fd, EPOLL_CTL_MOD, fd, event) == -1 && errno == EINVAL) {
        (void)REAL(epoll_ctl)(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        (void)REAL(epoll_ctl)(epoll_fd, EPOLL_CTL_ADD, fd, event);
    }
    errno = saved;
}

/* ---- moving bytes --------------------------------------------------------------------- */

/* Returns true, with errno set, if this call is not to be made. */
static bool refused(const char *call, int fd)
{
    int error = injected(call);
    if (error == 0 && one_in_n("eintr"))
        error = EINTR;
    if (error == 0 && fd >= 0 && fd < MAX_FD && one_in_n("eagain") &&
        (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)
        error = EAGAIN;
    if (error == EAGAIN)
        rearm(fd);
    errno = error != 0 ? error : errno;
    return error != 0;
}

/* A line of a log goes into a pipe whole or not at all, and a signalfd or eventfd gives
 * its 8 or 128 bytes at once. So only sockets and stdin are cut. */
static size_t part(int fd, size_t length, size_t times)
{
    struct rule *cut = setting("cut");
    struct stat status;
    size_t most = cut != NULL ? times * (size_t)cut->first : length;
    bool can_be_cut = length > most && fd < MAX_FD && REAL(fstat)(fd, &status) == 0 &&
                      (S_ISSOCK(status.st_mode) || fd == STDIN_FILENO);
    return can_be_cut ? most : length;
}

/* `socket`: fd, or -1 where a spurious EAGAIN would lose a line of a log. */
#define MOVE(name, parameters, arguments, times, socket)       \
    ssize_t name parameters                                    \
    {                                                          \
        size_t wanted = length;                                \
        if (refused(#name, socket))                            \
            return -1;                                         \
        length = part(fd, length, times);                      \
        ssize_t moved = REAL(name) arguments;                  \
        if (moved > 0 && length < wanted)                      \
            rearm(fd);                                         \
        return moved;                                          \
    }

MOVE(send, (int fd, const void *bytes, size_t length, int flags),
     (fd, bytes, length, flags), 1, fd)
MOVE(recv, (int fd, void *bytes, size_t length, int flags),
     (fd, bytes, length, flags), 3, fd)
MOVE(write, (int fd, const void *bytes, size_t length), (fd, bytes, length), 1, -1)
MOVE(read, (int fd, void *bytes, size_t length), (fd, bytes, length), 3, -1)

/* _FORTIFY_SOURCE has other names for these. */
ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t size, int flags);
ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t size, int flags)
{
    return length > size ? (abort(), -1) : recv(fd, bytes, length, flags);
}

ssize_t __read_chk(int fd, void *bytes, size_t length, size_t size);
ssize_t __read_chk(int fd, void *bytes, size_t length, size_t size)
{
    return length > size ? (abort(), -1) : read(fd, bytes, length);
}

/* ---- time and waiting ----------------------------------------------------------------- */

static long speed(void)
{
    struct rule *clock = setting("clock");
    return clock != NULL ? clock->first : 1;
}

static int faster(int ms)
{
    return ms <= 0 ? ms : (int)((ms + speed() - 1) / speed());
}

static struct timeval faster_timeval(const struct timeval *time)
{
    long us = (time->tv_sec * 1000000 + time->tv_usec + speed() - 1) / speed();
    return (struct timeval){us / 1000000, us % 1000000};
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    if (result == 0 && clock == CLOCK_MONOTONIC) {
        now->tv_sec = now->tv_sec * speed() + now->tv_nsec * speed() / 1000000000;
        now->tv_nsec = now->tv_nsec * speed() % 1000000000;
    }
    return result;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct timeval time;
    if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
        time = faster_timeval(value);
        value = &time;
    }
    return fails("setsockopt") ? -1 : REAL(setsockopt)(fd, level, name, value, size);
}

#define MAY_WAIT(name, parameters, arguments, socket)          \
    int name parameters                                        \
    {                                                          \
        return refused(#name, socket) ? -1 : REAL(name) arguments; \
    }

MAY_WAIT(accept4, (int fd, __SOCKADDR_ARG peer, socklen_t *restrict size, int flags),
         (fd, peer, size, flags), fd)
MAY_WAIT(poll, (struct pollfd *list, nfds_t count, int ms), (list, count, faster(ms)), -1)
MAY_WAIT(select, (int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *limit),
         (count, in, out, other,
          limit != NULL ? (struct timeval[]){faster_timeval(limit)} : NULL), -1)
MAY_WAIT(epoll_wait, (int epoll_fd, struct epoll_event *events, int size, int ms),
         (epoll_fd, events, setting("cut") != NULL ? 1 : size, faster(ms)), -1)

/* ---- names ---------------------------------------------------------------------------- */

int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    struct rule *names = setting("names");
    struct addrinfo **end = list;
    int error = fails("getaddrinfo") ? EAI_SYSTEM : 0;

    if (error == 0 && (names == NULL || host == NULL || strcmp(host, "many.test") != 0))
        return REAL(getaddrinfo)(host, service, hints, list);
    for (char *name; error == 0 && (name = strsep(&names->text, ",")) != NULL;) {
        error = REAL(getaddrinfo)(name, service, hints, end);
        while (error == 0 && *end != NULL)
            end = &(*end)->ai_next;
    }
    return error;
}
