/* fake_kernel.c: the peers, and the system calls as far as the runtime makes them. See
 * fake_kernel.h.
 *
 * Epoll is the real one's in small: whatever happens to a watched descriptor puts it on
 * the list of news, once; epoll_wait() looks at each on the list, reports all that is
 * true of it now, and (EPOLLET) strikes it off: epoll(7), and ep_send_events() in Linux's
 * fs/eventpoll.c. What is true of a socket is tcp_poll() in net/ipv4/tcp.c.
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

#define MOST_FDS 8
#define BATCH 2 /* the Makefile makes the runtime's numbers small */
#define PAUSE_MS (LIMIT_MS + 100)

struct world world;

enum kind { UNUSED, EPOLL, EVENT, STREAM };
static struct {
    enum kind kind;
    struct peer *peer;
    struct epoll_event watch; /* events 0: not watched */
    bool signalled;           /* EVENT */
} table[MOST_FDS];
static int news[MOST_FDS], news_count; /* descriptors, the oldest first */
static bool in_other_thread;
static int blocks; /* of memory */

static int number_of(const struct peer *peer)
{
    return (int)(peer - world.peers);
}

/* What a peer says: no two bytes near each other are alike. */
static unsigned char byte_of(const struct peer *peer, int index)
{
    return (unsigned char)(number_of(peer) * 31 + index);
}

static int room_of(const struct peer *peer)
{
    return world.left.room - (peer->echoed - peer->heard);
}

/* ---- news -------------------------------------------------------------------------- */

static uint32_t state_of(int fd)
{
    struct peer *peer = table[fd].peer;
    uint32_t state = 0;

    if (table[fd].kind == EVENT)
        return EPOLLOUT | (table[fd].signalled ? EPOLLIN : 0);
    if (peer->ended)
        state |= EPOLLIN | EPOLLRDHUP;
    if (peer->said > peer->read)
        state |= EPOLLIN;
    peer->no_room = peer->no_room || room_of(peer) == 0;
    return state | (room_of(peer) > 0 ? EPOLLOUT : 0);
}

static void strike_off(int position)
{
    news_count--;
    memmove(&news[position], &news[position + 1],
            (size_t)(news_count - position) * sizeof *news);
}

static void forget_news(int fd)
{
    for (int i = news_count - 1; i >= 0; i--)
        if (news[i] == fd)
            strike_off(i);
}

static void note_news(int fd)
{
    if (table[fd].watch.events == 0)
        return;
    for (int i = 0; i < news_count; i++)
        if (news[i] == fd)
            return;
    news[news_count++] = fd;
}

static void note_news_of(const struct peer *peer)
{
    if (peer->fd != -1)
        note_news(peer->fd);
}

static bool there_is_news(void)
{
    while (news_count > 0 && state_of(news[0]) == 0)
        strike_off(0); /* it was news once */
    return news_count > 0;
}

/* ---- what can happen next ---------------------------------------------------------- */

enum what { SAY, END, HEAR, SEND, WAKE, CANCEL, STOP, PAUSE };
static struct {
    struct act {
        enum what what;
        struct peer *peer;
        int number;
    } list[32];
    int count;
} acts;

static void add(enum what what, struct peer *peer, int number)
{
    acts.list[acts.count++] = (struct act){what, peer, number};
}

static void add_those_of(struct peer *peer)
{
    int unsaid = world.left.bytes - peer->said;

    for (int bytes = unsaid < 2 ? unsaid : 2; bytes > 0; bytes--)
        add(SAY, peer, bytes);
    if (unsaid == 0 && !peer->ended)
        add(END, peer, 0);
    if (peer->heard < peer->echoed)
        add(HEAR, peer, 0);
}

/* What other tasks may do to a task. */
static void add_meddling(void)
{
    if (world.left.stops > 0)
        add(STOP, NULL, 0);
    for (int i = 0; i < MOST_TASKS; i++) {
        if (world.left.wakes > 0 && task_is_there(i))
            add(WAKE, NULL, i);
        if (world.left.cancels > 0 && task_is_there(i))
            add(CANCEL, NULL, i);
    }
}

/* What may happen also while the thread sleeps. */
static void list_acts(void)
{
    acts.count = 0;
    for (int i = 0; i < world.left.peers; i++)
        if (world.peers[i].fd != -1)
            add_those_of(&world.peers[i]);
    if (world.left.messages > 0)
        add(SEND, NULL, 0);
}

static void speak(struct peer *peer, int bytes)
{
    tell("peer %d %s %d", number_of(peer), bytes > 0 ? "sends" : "ends its side", bytes);
    peer->said += bytes;
    peer->ended = bytes == 0;
    peer->said_at = world.clock;
    note_news_of(peer);
}

static void hear(struct peer *peer)
{
    tell("peer %d reads %d", number_of(peer), peer->echoed - peer->heard);
    peer->heard = peer->echoed;
    if (peer->no_room)
        note_news_of(peer);
    peer->no_room = false;
}

static void perform(struct act act)
{
    switch (act.what) {
    case SAY:
    case END:
        speak(act.peer, act.number);
        break;
    case HEAR:
        hear(act.peer);
        break;
    case SEND:
        world.left.messages--;
        in_other_thread = true;
        other_thread_sends();
        in_other_thread = false;
        break;
    case WAKE:
        world.left.wakes--;
        task_wake(act.number);
        break;
    case CANCEL:
        world.left.cancels--;
        task_cancel_now(act.number);
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
        list_acts();
        if (in_a_poll)
            add_meddling();
        if (world.left.delays > 0)
            add(PAUSE, NULL, PAUSE_MS);
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
        list_acts();
        if (!may_return && ms > 0 && (world.left.delays > 0 || acts.count == 0))
            add(PAUSE, NULL, ms);
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

void world_meddles(void)
{
    acts.count = 0;
    add_meddling();
    int choice = choose(acts.count + 1);
    if (choice > 0)
        perform(acts.list[choice - 1]);
}

static long fails(int error)
{
    errno = error;
    return -1;
}

/* ---- descriptors ------------------------------------------------------------------- */

static int open_descriptor(enum kind kind, struct peer *peer)
{
    int fd = 0; /* the lowest that is free: the real one does so too */

    while (table[fd].kind != UNUSED)
        fd++;
    memset(&table[fd], 0, sizeof table[fd]);
    table[fd].kind = kind;
    table[fd].peer = peer;
    return fd;
}

static void must_be(int fd, enum kind kind, const char *call)
{
    if (fd < 0 || fd >= MOST_FDS || table[fd].kind != kind)
        wrong("%s: descriptor %d is not what the runtime thinks", call, fd);
}

int __wrap_close(int fd)
{
    may_happen(true);
    if (fd < 0 || fd >= MOST_FDS || table[fd].kind == UNUSED)
        wrong("close of descriptor %d, which is not open", fd);
    tell("close of descriptor %d", fd);
    if (table[fd].kind == STREAM)
        table[fd].peer->fd = -1;
    forget_news(fd);
    table[fd].kind = UNUSED;
    return 0;
}

/* ---- epoll, eventfd ---------------------------------------------------------------- */

int __wrap_epoll_create1(int flags)
{
    (void)flags;
    return open_descriptor(EPOLL, NULL);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    must_be(epoll, EPOLL, "epoll_ctl");
    may_happen(true);
    if (fd < 0 || fd >= MOST_FDS || table[fd].kind == UNUSED)
        wrong("epoll_ctl: there is no descriptor %d", fd);
    if (operation == EPOLL_CTL_DEL && table[fd].watch.events == 0)
        return (int)fails(ENOENT);
    if (operation == EPOLL_CTL_DEL) {
        table[fd].watch.events = 0;
        forget_news(fd);
        return 0;
    }
    table[fd].watch = *event;
    if (state_of(fd) != 0)
        note_news(fd);
    return 0;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
    int count = 0;

    must_be(epoll, EPOLL, "epoll_wait");
    if (most != BATCH)
        wrong("the runtime was not built with a BATCH of %d", BATCH);
    may_happen(false);
    sleep_until_news(ms);
    for (int looks = news_count; looks > 0 && count < most; looks--) {
        int fd = news[0];
        uint32_t state = state_of(fd);
        strike_off(0);
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
    return open_descriptor(EVENT, NULL);
}

int __wrap_eventfd_write(int fd, eventfd_t value)
{
    (void)value;
    must_be(fd, EVENT, "eventfd_write");
    table[fd].signalled = true;
    note_news(fd);
    return 0;
}

/* ---- sockets ----------------------------------------------------------------------- */

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    unsigned char *bytes = buffer;
    int length = 0;

    (void)flags;
    must_be(fd, STREAM, "recv");
    struct peer *peer = table[fd].peer;
    may_happen(true);
    while (peer->read < peer->said && length < (int)size)
        bytes[length++] = byte_of(peer, peer->read++);
    if (length == 0 && !peer->ended) {
        tell("recv from peer %d: nothing (EAGAIN)", number_of(peer));
        return fails(EAGAIN);
    }
    tell("recv from peer %d gives %d", number_of(peer), length);
    return length;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    const unsigned char *echo = bytes;

    must_be(fd, STREAM, "send");
    struct peer *peer = table[fd].peer;
    if (!(flags & MSG_NOSIGNAL))
        wrong("send without MSG_NOSIGNAL");
    may_happen(true);
    int sent = room_of(peer) < (int)length ? room_of(peer) : (int)length;
    peer->no_room = sent < (int)length;
    tell("send to peer %d takes %d of %d", number_of(peer), sent, (int)length);
    for (int i = 0; i < sent; i++, peer->echoed++)
        if (peer->echoed >= peer->read || echo[i] != byte_of(peer, peer->echoed))
            wrong("peer %d gets the wrong byte as number %d", number_of(peer),
                  peer->echoed + 1);
    return sent == 0 ? fails(EAGAIN) : sent;
}

/* ---- clock, mutex, memory ---------------------------------------------------------- */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    if (world.left.delays > 0)
        may_happen(false);
    now->tv_sec = world.clock / 1000;
    now->tv_nsec = world.clock % 1000 * 1000000;
    return 0;
}

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
    memset(table, 0, sizeof table);
    news_count = blocks = 0;
    for (int i = 0; i < scenario->peers; i++)
        world.peers[i].fd = open_descriptor(STREAM, &world.peers[i]);
}

void world_end(void)
{
    for (int fd = 0; fd < MOST_FDS; fd++)
        if (table[fd].kind != UNUSED)
            wrong("descriptor %d is never closed", fd);
    if (blocks != 0)
        wrong("%d blocks of memory are never freed", blocks);
}
