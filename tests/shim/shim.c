/* shim.c: a libc that is less kind than the usual one, yet never breaks its word.
 *
 *     SHIM='cut=1 eintr=3' LD_PRELOAD=tests/shim/build/shim.so ./server
 *
 *   cut=N     a send takes N bytes at most, a recv brings three times as many (who reads
 *             one and writes one has nothing left over); epoll_wait tells of one event
 *   eintr=N   one call in N that may sleep is interrupted before it has done anything
 *   eagain=N  one recv, send or accept4 in N says EAGAIN: non-blocking sockets only
 *   malloc=N  the N-th malloc, calloc or realloc finds no memory; N+ and all after it
 *   thread=N  the N-th pthread_create finds no thread; N+ and all after it
 *
 * In the file that SHIM_NOTE names stands what has been done: did the N-th malloc come?
 *
 * What is a fair lie? One that could be true. A blocking send may be cut: a signal can do
 * that. "EAGAIN" from a recv says that nothing is there; a moment later something may be.
 * But then epoll owes an edge. epoll(7) promises: who has moved fewer bytes than he asked
 * for, or was told EAGAIN, will be told when there is more; and chapters 04 and 05 go to
 * sleep on that promise. Nothing has changed in the kernel, so no edge would come, and
 * they would sleep for ever. So each such lie ends with ring_again(): an EPOLL_CTL_MOD
 * that changes nothing. The kernel then looks at the socket anew, and if it is ready
 * (which the kernel decides, not we), there is the edge.
 *
 * Calls inside libc (stdio, getaddrinfo) do not pass here; all its mallocs do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS 65536 /* of those beyond, epoll's edges would be missing: no lies */

/* ---- what to do, and how often ----------------------------------------------------- */

static struct rule {
    const char *name;
    long number;       /* 0: never */
    bool and_after;    /* the number is followed by a + */
    atomic_long calls; /* of the kind it is about, so far */
    atomic_flag noted;
} cut = {.name = "cut"}, eintr = {.name = "eintr"}, eagain = {.name = "eagain"},
  memory = {.name = "malloc"}, thread = {.name = "thread"};

static const char *note_file;

/* Only once for each rule: it is enough to know that it has been at work. */
static void note(struct rule *rule)
{
    if (note_file == NULL || atomic_flag_test_and_set(&rule->noted))
        return;
    int saved = errno;
    int file = open(note_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    (void)dprintf(file, "%s\n", rule->name); /* a note that is missing fails the test */
    (void)close(file);
    errno = saved;
}

/* One in N, by a die that falls the same in each run. Every N-th would not do: a loop of
 * N calls would meet it at the same call in each round, and never get past. */
static bool one_in_n(struct rule *rule)
{
    if (rule->number == 0)
        return false;
    uint64_t die = (uint64_t)(atomic_fetch_add(&rule->calls, 1) + 1) * 0x9e3779b97f4a7c15;
    die = (die ^ die >> 32) * 0x9e3779b97f4a7c15 >> 32;
    if (die % (uint64_t)rule->number != 0)
        return false;
    note(rule);
    return true;
}

static bool the_nth(struct rule *rule)
{
    long call = atomic_fetch_add(&rule->calls, 1) + 1;
    bool is_it = call == rule->number || (rule->and_after && call > rule->number);
    if (is_it)
        note(rule);
    return is_it;
}

/* ---- what libc has ----------------------------------------------------------------- */

static __typeof__(send) *real_send;
static __typeof__(recv) *real_recv;
static __typeof__(write) *real_write;
static __typeof__(read) *real_read;
static __typeof__(accept4) *real_accept4;
static __typeof__(poll) *real_poll;
static __typeof__(select) *real_select;
static __typeof__(pselect) *real_pselect;
static __typeof__(epoll_wait) *real_epoll_wait;
static __typeof__(epoll_ctl) *real_epoll_ctl;
static __typeof__(pthread_create) *real_pthread_create;

/* glibc's own names for its allocator. (dlsym() might call malloc() itself.) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

/* ISO C has no cast from what dlsym() returns to a function; POSIX has this one. */
#define FIND(call) (*(void **)&real_##call = dlsym(RTLD_NEXT, #call))

static void read_rule(struct rule *rule, const char *words)
{
    char pattern[16], *end;
    (void)snprintf(pattern, sizeof pattern, "%s=", rule->name); /* all are short */
    const char *at = words == NULL ? NULL : strstr(words, pattern);
    rule->number = at != NULL ? strtol(at + strlen(pattern), &end, 10) : 0;
    rule->and_after = at != NULL && *end == '+';
}

__attribute__((constructor)) static void start(void)
{
    struct rule *const rules[] = {&cut, &eintr, &eagain, &memory, &thread};
    FIND(send), FIND(recv), FIND(write), FIND(read), FIND(accept4), FIND(poll);
    FIND(select), FIND(pselect), FIND(epoll_wait), FIND(epoll_ctl), FIND(pthread_create);
    note_file = getenv("SHIM_NOTE");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        read_rule(rules[i], getenv("SHIM"));
}

/* ---- epoll: what it watches, so that we can keep its word -------------------------- */

static struct watched {
    int epoll;
    struct epoll_event event;
} watched[DESCRIPTORS]; /* by descriptor; what is closed stays here, and does no harm */

int epoll_ctl(int epoll, int change, int fd, struct epoll_event *event)
{
    int error = real_epoll_ctl(epoll, change, fd, event);
    if (error == 0 && fd < DESCRIPTORS && event != NULL)
        watched[fd] = (struct watched){epoll, *event};
    return error;
}

/* Level-triggered descriptors need no help. One with EPOLLEXCLUSIVE cannot be modified
 * (EINVAL): taken off and hung up again, it is looked at anew, too. */
static void ring_again(int fd)
{
    struct watched *bell = &watched[fd];
    int saved = errno;
    if ((bell->event.events & EPOLLET) != 0 &&
        real_epoll_ctl(bell->epoll, EPOLL_CTL_MOD, fd, &bell->event) == -1 &&
        errno == EINVAL) {
        (void)real_epoll_ctl(bell->epoll, EPOLL_CTL_DEL, fd, NULL);
        (void)real_epoll_ctl(bell->epoll, EPOLL_CTL_ADD, fd, &bell->event);
    }
    errno = saved;
}

/* ---- the lies ---------------------------------------------------------------------- */

static bool interrupted(void)
{
    if (!one_in_n(&eintr))
        return false;
    errno = EINTR;
    return true;
}

/* Only where the program has asked never to wait. */
static bool not_now(int fd)
{
    if (eagain.number == 0 || fd >= DESCRIPTORS ||
        (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 || !one_in_n(&eagain))
        return false;
    ring_again(fd);
    errno = EAGAIN;
    return true;
}

static size_t shorter(int fd, size_t length, long most)
{
    return most > 0 && fd < DESCRIPTORS && (size_t)most < length ? (size_t)most : length;
}

/* After a call that was asked for `length` bytes and was let move `cut_to` only. */
static ssize_t told(int fd, ssize_t moved, size_t length, size_t cut_to)
{
    if (moved > 0 && cut_to < length)
        note(&cut), ring_again(fd);
    return moved;
}

static bool is_socket(int fd)
{
    struct stat is;
    return fstat(fd, &is) == 0 && S_ISSOCK(is.st_mode);
}

/* ---- sockets, and stdin ------------------------------------------------------------ */

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    if (interrupted() || not_now(fd))
        return -1;
    size_t part = shorter(fd, length, cut.number);
    return told(fd, real_send(fd, bytes, part, flags), length, part);
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    if (interrupted() || not_now(fd))
        return -1;
    size_t part = shorter(fd, length, 3 * cut.number);
    return told(fd, real_recv(fd, buffer, part, flags), length, part);
}

/* A line of the log goes into a pipe whole or not at all (PIPE_BUF): that is a promise
 * too. So only what is written to a socket is cut. */
ssize_t write(int fd, const void *bytes, size_t length)
{
    if (interrupted())
        return -1;
    size_t part = shorter(fd, length, is_socket(fd) ? cut.number : 0);
    return told(fd, real_write(fd, bytes, part), length, part);
}

/* A signalfd or an eventfd gives all or nothing; stdin and sockets what they have. */
ssize_t read(int fd, void *buffer, size_t length)
{
    if (interrupted())
        return -1;
    bool gives = fd == STDIN_FILENO || is_socket(fd);
    size_t part = shorter(fd, length, gives ? 3 * cut.number : 0);
    return told(fd, real_read(fd, buffer, part), length, part);
}

/* glibc's name for the pointer to an address, whichever kind. */
int accept4(int fd, __SOCKADDR_ARG who, socklen_t *restrict size, int flags)
{
    return interrupted() || not_now(fd) ? -1 : real_accept4(fd, who, size, flags);
}

/* ---- waiting ----------------------------------------------------------------------- */

int poll(struct pollfd *list, nfds_t count, int ms)
{
    return interrupted() ? -1 : real_poll(list, count, ms);
}

int select(int count, fd_set *in, fd_set *out, fd_set *odd, struct timeval *limit)
{
    return interrupted() ? -1 : real_select(count, in, out, odd, limit);
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *odd, const struct timespec *limit,
            const sigset_t *mask)
{
    return interrupted() ? -1 : real_pselect(count, in, out, odd, limit, mask);
}

int epoll_wait(int epoll, struct epoll_event *events, int size, int ms)
{
    int most = cut.number > 0 ? 1 : size;
    return interrupted() ? -1 : real_epoll_wait(epoll, events, most, ms);
}

/* ---- shortages --------------------------------------------------------------------- */

/* Asked for more than there can be, libc itself says no. */
static size_t unless_denied(size_t size)
{
    return the_nth(&memory) ? SIZE_MAX : size;
}

void *malloc(size_t size)
{
    return __libc_malloc(unless_denied(size));
}

void *calloc(size_t count, size_t size)
{
    return __libc_calloc(count, unless_denied(size));
}

void *realloc(void *block, size_t size)
{
    return __libc_realloc(block, unless_denied(size));
}

int pthread_create(pthread_t *restrict id, const pthread_attr_t *restrict how,
                   void *(*body)(void *), void *restrict argument)
{
    return the_nth(&thread) ? EAGAIN : real_pthread_create(id, how, body, argument);
}
