/* fake_kernel.c: the peers, and the system calls as far as the runtime makes them. See
 * fake_kernel.h.
 *
 * Epoll is the real one's in small: whatever happens to a watched descriptor is news;
 * epoll_wait() looks at each that has news, the oldest first, and reports all that is true
 * of it now, once (EPOLLET): epoll(7), and ep_send_events() in Linux's fs/eventpoll.c.
 * What is true of a socket is tcp_poll() in net/ipv4/tcp.c.
 */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "stop.h"

enum { BATCH = 2, PAUSE_MS = LIMIT_MS + 100 }; /* see the Makefile: small numbers */

struct world world;

enum { EPOLL, EVENT, STREAMS, MOST_FDS = STREAMS + MOST_PEERS }; /* the descriptors */
static struct {
    bool open;
    struct epoll_event watch; /* events 0: not watched */
    int news;                 /* the smaller the older; 0: none */
} table[MOST_FDS];
static int newest;
static bool signalled; /* the eventfd */
static bool in_other_thread;
static int blocks; /* of memory */

/* What a peer says: no two bytes near each other are alike. */
static unsigned char byte_of(int peer, int index)
{
    return (unsigned char)(peer * 31 + index);
}

static int room_of(const struct peer *peer)
{
    return world.left.room - (peer->echoed - peer->heard);
}

/* ---- news -------------------------------------------------------------------------- */

static uint32_t state_of(int fd)
{
    if (fd == EVENT)
        return EPOLLOUT | (signalled ? EPOLLIN : 0);
    struct peer *peer = &world.peers[fd - STREAMS];
    peer->no_room = peer->no_room || room_of(peer) == 0;
    uint32_t state = peer->said > peer->read ? EPOLLIN : 0;
    if (peer->ended)
        state |= EPOLLIN | EPOLLRDHUP;
    if (room_of(peer) > 0)
        state |= EPOLLOUT;
    return state;
}

static void note_news(int fd)
{
    if (table[fd].watch.events != 0 && table[fd].news == 0)
        table[fd].news = ++newest;
}

static int oldest_news(void)
{
    int oldest = -1;

    for (int fd = 0; fd < MOST_FDS; fd++)
        if (table[fd].news != 0 && (oldest == -1 || table[fd].news < table[oldest].news))
            oldest = fd;
    return oldest;
}

static bool there_is_news(void)
{
    int fd;

    while ((fd = oldest_news()) != -1 && state_of(fd) == 0)
        table[fd].news = 0; /* it was news once */
    return fd != -1;
}

/* ---- what can happen next ---------------------------------------------------------- */

enum what { SAY, HEAR, SEND, WAKE, CANCEL, STOP, PAUSE };
static struct {
    struct act {
        enum what what;
        int whom, number;
    } list[32];
    int count;
} acts;

static void add(enum what what, int whom, int number)
{
    acts.list[acts.count++] = (struct act){what, whom, number};
}

/* What other tasks may do to a task, in a poll only; and what may happen also while the
 * thread sleeps. */
static void list_acts(bool in_a_poll)
{
    acts.count = 0;
    for (int i = 0; i < world.left.peers; i++) {
        const struct peer *peer = &world.peers[i];
        int unsaid = world.left.bytes - peer->said;
        if (!table[STREAMS + i].open)
            continue;
        for (int bytes = unsaid < 2 ? unsaid : 2; bytes > 0; bytes--)
            add(SAY, i, bytes);
        if (unsaid == 0 && !peer->ended)
            add(SAY, i, 0);
        if (peer->heard < peer->echoed)
            add(HEAR, i, 0);
    }
    if (world.left.messages > 0)
        add(SEND, 0, 0);
    if (in_a_poll && world.left.stops > 0)
        add(STOP, 0, 0);
    for (int i = 0; in_a_poll && i < MOST_TASKS; i++) {
        if (world.left.wakes > 0 && task_is_there(i))
            add(WAKE, i, 0);
        if (world.left.cancels > 0 && task_is_there(i))
            add(CANCEL, i, 0);
    }
}

static void perform(struct act act)
{
    struct peer *peer = &world.peers[act.whom];

    switch (act.what) {
    case SAY:
        tell("peer %d %s %d", act.whom, act.number > 0 ? "sends" : "ends its side",
             act.number);
        peer->said += act.number;
        peer->ended = act.number == 0;
        peer->said_at = world.clock;
        note_news(STREAMS + act.whom);
        break;
    case HEAR:
        tell("peer %d reads %d", act.whom, peer->echoed - peer->heard);
        peer->heard = peer->echoed;
        if (peer->no_room)
            note_news(STREAMS + act.whom);
        peer->no_room = false;
        break;
    case SEND:
        world.left.messages--;
        in_other_thread = true;
        other_thread_sends();
        in_other_thread = false;
        break;
    case WAKE:
        world.left.wakes--;
        task_wake(act.whom);
        break;
    case CANCEL:
        world.left.cancels--;
        task_cancel_now(act.whom);
        break;
    case STOP:
        world.left.stops--;
        tell("the runtime is stopped");
        stop_now();
        break;
    case PAUSE:
        world.left.delays -= world.left.delays > 0;
        tell("%d ms go by", act.number);
        world.clock += act.number;
        break;
    }
}

/* ---- when it happens --------------------------------------------------------------- */

/* Before a system call: things may happen that the runtime does not expect. */
static void may_happen(bool in_a_poll)
{
    int most = 60 * (world.left.peers + 1) * (world.left.bytes + 4);

    if (in_other_thread)
        return;
    if (++world.steps > most)
        wrong("the runtime goes in circles: more than %d system calls", most);
    while (world.left.surprises > 0) {
        list_acts(in_a_poll);
        if (world.left.delays > 0)
            add(PAUSE, 0, PAUSE_MS);
        int choice = choose(acts.count + 1);
        if (choice == 0)
            return;
        world.left.surprises--;
        perform(acts.list[choice - 1]);
    }
}

/* Inside epoll_wait(): things happen until there is news, or `ms` are over. */
static void sleep_until_news(int ms)
{
    if (ms != 0)
        tasks_must_all_wait();
    for (;;) {
        bool may_return = ms == 0 || there_is_news();
        if (may_return && world.left.surprises == 0)
            return;
        list_acts(false);
        if (!may_return && ms > 0 && (world.left.delays > 0 || acts.count == 0))
            add(PAUSE, 0, ms);
        if (!may_return && acts.count == 0)
            tasks_are_stuck();
        int choice = choose(acts.count + may_return);
        if (may_return && choice == 0)
            return;
        world.left.surprises -= may_return;
        struct act act = acts.list[choice - may_return];
        perform(act);
        if (act.what == PAUSE)
            return;
    }
}

/* ---- descriptors: epoll, eventfd, sockets ------------------------------------------ */

static int open_descriptor(int fd)
{
    memset(&table[fd], 0, sizeof table[fd]);
    table[fd].open = true;
    return fd;
}

/* It comes from the runtime. */
static void check_descriptor(int fd, bool right_kind, const char *call)
{
    if (fd < 0 || fd >= MOST_FDS || !table[fd].open || !right_kind)
        wrong("%s: descriptor %d is not what the runtime thinks", call, fd);
    may_happen(true);
}

int __wrap_close(int fd)
{
    check_descriptor(fd, true, "close");
    tell("close of descriptor %d", fd);
    table[fd].open = false;
    table[fd].news = 0;
    return 0;
}

int __wrap_epoll_create1(int flags)
{
    (void)flags;
    return open_descriptor(EPOLL);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    check_descriptor(fd, epoll == EPOLL, "epoll_ctl");
    if (operation == EPOLL_CTL_ADD) {
        table[fd].watch = *event;
        if (state_of(fd) != 0)
            note_news(fd);
        return 0;
    }
    errno = ENOENT;
    int result = table[fd].watch.events == 0 ? -1 : 0;
    table[fd].watch.events = 0;
    table[fd].news = 0;
    return result;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
    int count = 0;

    if (epoll != EPOLL || most != BATCH)
        wrong("the runtime was not built with a BATCH of %d", BATCH);
    may_happen(false);
    sleep_until_news(ms);
    for (int fd; count < most && (fd = oldest_news()) != -1;) {
        uint32_t state = state_of(fd);
        table[fd].news = 0;
        if (state == 0)
            continue;
        tell("epoll reports descriptor %d:%s%s%s", fd, state & EPOLLIN ? " readable" : "",
             state & EPOLLOUT ? " writable" : "", state & EPOLLRDHUP ? " ended" : "");
        events[count] = table[fd].watch;
        events[count++].events = state;
    }
    return count;
}

int __wrap_eventfd(unsigned value, int flags)
{
    (void)value, (void)flags;
    signalled = false;
    return open_descriptor(EVENT);
}

int __wrap_eventfd_write(int fd, eventfd_t value)
{
    (void)value;
    check_descriptor(fd, fd == EVENT, "eventfd_write");
    signalled = true;
    note_news(fd);
    return 0;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    unsigned char *bytes = buffer;
    int length = 0, number = fd - STREAMS;

    (void)flags;
    check_descriptor(fd, number >= 0, "recv");
    struct peer *peer = &world.peers[number];
    while (peer->read < peer->said && length < (int)size)
        bytes[length++] = byte_of(number, peer->read++);
    errno = EAGAIN;
    bool nothing = length == 0 && !peer->ended;
    tell("recv from peer %d gives %d%s", number, length, nothing ? " (EAGAIN)" : "");
    return nothing ? -1 : length;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    const unsigned char *echo = bytes;
    int number = fd - STREAMS;

    check_descriptor(fd, number >= 0 && (flags & MSG_NOSIGNAL) != 0, "send");
    struct peer *peer = &world.peers[number];
    int sent = room_of(peer) < (int)length ? room_of(peer) : (int)length;
    peer->no_room = sent < (int)length;
    tell("send to peer %d takes %d of %d", number, sent, (int)length);
    for (int i = 0; i < sent; i++, peer->echoed++)
        if (peer->echoed >= peer->read || echo[i] != byte_of(number, peer->echoed))
            wrong("peer %d gets the wrong byte as number %d", number, peer->echoed + 1);
    errno = EAGAIN;
    return sent == 0 ? -1 : sent;
}

/* ---- clock, mutex, memory ---------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    if (world.left.delays > 0)
        may_happen(false);
    now->tv_sec = world.clock / 1000;
    now->tv_nsec = world.clock % 1000 * 1000000;
    return 0;
}

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);

/* The other thread gets the lock before this one, or after it. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    may_happen(true);
    return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int result = __real_pthread_mutex_unlock(mutex);
    may_happen(true);
    return result;
}

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size)
{
    blocks++;
    return __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    blocks += block == NULL;
    return __real_realloc(block, size);
}

void __wrap_free(void *block)
{
    if (block == NULL)
        return;
    blocks--;
    memset(block, 0xdd, malloc_usable_size(block)); /* whoever still uses it will crash */
    __real_free(block);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    (void)at, (void)protection, (void)flags, (void)fd, (void)offset;
    return __wrap_malloc(size);
}

int __wrap_munmap(void *block, size_t size)
{
    (void)size;
    __wrap_free(block);
    return 0;
}

/* ---- the beginning and the end of a run -------------------------------------------- */

void world_begin(const struct scenario *scenario)
{
    world = (struct world){.left = *scenario, .clock = 1000000};
    newest = blocks = 0;
    for (int i = 0; i < scenario->peers; i++)
        world.peers[i].fd = open_descriptor(STREAMS + i);
}

void world_end(void)
{
    for (int fd = 0; fd < MOST_FDS; fd++)
        if (table[fd].open)
            wrong("descriptor %d is never closed", fd);
    if (blocks != 0)
        wrong("%d blocks of memory are never freed", blocks);
}
