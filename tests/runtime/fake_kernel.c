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
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define FIRST_FD 3
#define MOST_FDS (FIRST_FD + MOST_PEERS + 4)
#define BATCH 2 /* the Makefile makes the runtime's numbers small */
#define PAUSE_MS (LIMIT_MS + 100)

struct world world;

static struct {
    enum { UNUSED, LISTENER, EPOLL, EVENT, STREAM } kind;
    struct peer *peer;
    struct epoll_event watch; /* events 0: not watched */
    bool signalled;           /* EVENT */
} table[MOST_FDS];
static int news[MOST_FDS], news_count; /* descriptors, the oldest first */
static bool in_other_thread;

static int number_of(const struct peer *peer)
{
    return (int)(peer - world.peers);
}

/* What a peer says: no two bytes near each other are alike. */
unsigned char byte_of(const struct peer *peer, int index)
{
    return (unsigned char)(number_of(peer) * 31 + index);
}

static int room_of(const struct peer *peer)
{
    return world.left.room - (peer->echoed - peer->heard);
}

/* ---- news ------------------------------------------------------------------------------------ */

static uint32_t state_of_stream(struct peer *peer)
{
    uint32_t state = peer->reset ? EPOLLHUP : 0;

    if (peer->reset || peer->ended)
        state |= EPOLLIN | EPOLLRDHUP;
    if (peer->said > peer->read)
        state |= EPOLLIN;
    if (peer->reset || room_of(peer) > 0)
        state |= EPOLLOUT;
    else
        peer->no_room = true;
    return state | (peer->error != 0 ? EPOLLERR : 0);
}

static uint32_t state_of(int fd)
{
    uint32_t state = 0;

    if (table[fd].kind == STREAM)
        state = state_of_stream(table[fd].peer);
    else if (table[fd].kind == LISTENER ? world.waiting > 0 : table[fd].signalled)
        state = EPOLLIN;
    if (table[fd].kind == EVENT)
        state |= EPOLLOUT;
    return state & (table[fd].watch.events | EPOLLHUP | EPOLLERR);
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
    if (peer->place == CONNECTED)
        note_news(peer->fd);
}

static bool there_is_news(void)
{
    while (news_count > 0 && state_of(news[0]) == 0)
        strike_off(0); /* it was news once */
    return news_count > 0;
}

/* ---- what can happen next ---------------------------------------------------------------------- */

struct act {
    enum { COME, SAY, END, RESET, HEAR, SEND, WAKE, CANCEL, PAUSE } what;
    struct peer *peer;
    int number;
};

static struct {
    struct act list[32];
    int count;
} acts;

static void add(int what, struct peer *peer, int number)
{
    acts.list[acts.count++] = (struct act){what, peer, number};
}

static void add_those_of(struct peer *peer)
{
    bool speaks = !peer->ended && !peer->reset;
    int unsaid = world.left.bytes - peer->said;

    for (int bytes = unsaid < 2 ? unsaid : 2; speaks && bytes > 0; bytes--)
        add(SAY, peer, bytes);
    if (speaks && unsaid == 0)
        add(END, peer, 0);
    if (peer->heard < peer->echoed && !peer->reset)
        add(HEAR, peer, 0);
    if (world.left.resets > 0 && !peer->reset)
        add(RESET, peer, 0);
}

/* The peers are all alike: that they come in the order of their numbers leaves nothing
 * out. Tasks are woken and cancelled by other tasks, not while the thread sleeps. */
static void list_acts(bool asleep)
{
    bool may_come = true;

    acts.count = 0;
    for (int i = 0; i < world.left.peers; i++) {
        struct peer *peer = &world.peers[i];
        if (peer->place == IN_BACKLOG || peer->place == CONNECTED)
            add_those_of(peer);
        if (peer->place == AWAY && may_come) {
            add(COME, peer, 0);
            may_come = false;
        }
    }
    if (world.left.messages > 0)
        add(SEND, NULL, 0);
    for (int i = 0; i < MOST_TASKS && !asleep; i++) {
        if (world.left.wakes > 0 && task_is_there(i))
            add(WAKE, NULL, i);
        if (world.left.cancels > 0 && task_is_there(i))
            add(CANCEL, NULL, i);
    }
}

static void speak(struct peer *peer, int bytes)
{
    tell("peer %d sends %d", number_of(peer), bytes);
    peer->said += bytes;
    peer->said_at = world.clock;
    note_news_of(peer);
}

static void come(struct peer *peer)
{
    tell("peer %d connects", number_of(peer));
    peer->place = IN_BACKLOG;
    world.backlog[world.waiting++] = number_of(peer);
    for (int fd = FIRST_FD; fd < MOST_FDS; fd++)
        if (table[fd].kind == LISTENER)
            note_news(fd);
}

static void end(struct peer *peer, bool reset)
{
    tell("peer %d %s", number_of(peer), reset ? "is gone (RST)" : "ends its side (FIN)");
    world.left.resets -= reset;
    peer->reset = reset;
    peer->ended = peer->ended || !reset;
    peer->error = reset ? ECONNRESET : 0;
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
    case COME:
        come(act.peer);
        break;
    case SAY:
        speak(act.peer, act.number);
        break;
    case END:
    case RESET:
        end(act.peer, act.what == RESET);
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
        task_wake_for_nothing(act.number);
        break;
    case CANCEL:
        world.left.cancels--;
        task_cancel_now(act.number);
        break;
    case PAUSE:
        world.left.delays -= world.left.delays > 0;
        tell("%d ms go by", act.number);
        world.clock += act.number;
        break;
    }
}

/* ---- when it happens ----------------------------------------------------------------- */

static bool fault(void)
{
    if (world.left.faults == 0 || in_other_thread || choose(2) == 0)
        return false;
    world.left.faults--;
    return true;
}

/* Before a system call: things may happen that the runtime does not expect. */
static void may_happen(bool asleep)
{
    int most = 60 * (world.left.peers + 1) * (world.left.bytes + 4);

    if (in_other_thread)
        return;
    if (++world.steps > most)
        wrong("the runtime goes in circles: more than %d system calls", most);
    while (world.left.surprises > 0) {
        list_acts(asleep);
        if (world.left.delays > 0)
            add(PAUSE, NULL, PAUSE_MS);
        int choice = acts.count == 0 ? 0 : choose(acts.count + 1);
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
        list_acts(true);
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
    list_acts(false);
    while (acts.count > 0 && acts.list[0].what != WAKE && acts.list[0].what != CANCEL)
        memmove(acts.list, acts.list + 1, (size_t)--acts.count * sizeof *acts.list);
    int choice = acts.count == 0 ? 0 : choose(acts.count + 1);
    if (choice > 0)
        perform(acts.list[choice - 1]);
}

static long fails(int error)
{
    errno = error;
    return -1;
}

/* ---- descriptors --------------------------------------------------------------------- */

static int open_descriptor(int kind, struct peer *peer)
{
    int fd = FIRST_FD; /* the lowest that is free: the real one does so too */

    while (table[fd].kind != UNUSED)
        fd++;
    memset(&table[fd], 0, sizeof table[fd]);
    table[fd].kind = kind;
    table[fd].peer = peer;
    return fd;
}

static void must_be(int fd, int kind, const char *call)
{
    if (fd < FIRST_FD || fd >= MOST_FDS || (int)table[fd].kind != kind)
        wrong("%s: descriptor %d is not what the runtime thinks", call, fd);
}

int peer_connect(struct peer *peer)
{
    peer->place = CONNECTED;
    return peer->fd = open_descriptor(STREAM, peer);
}

int listener_open(void)
{
    return open_descriptor(LISTENER, NULL);
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
    may_happen(false);
    if (fd < FIRST_FD || fd >= MOST_FDS || table[fd].kind == UNUSED)
        wrong("close of descriptor %d, which is not open", fd);
    tell("close of descriptor %d", fd);
    if (table[fd].kind == STREAM)
        table[fd].peer->place = CLOSED;
    forget_news(fd);
    table[fd].kind = UNUSED;
    return 0;
}

/* ---- epoll, eventfd ------------------------------------------------------------------ */

int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int ms);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_eventfd_write(int fd, eventfd_t value);

int __wrap_epoll_create1(int flags)
{
    (void)flags;
    return open_descriptor(EPOLL, NULL);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    must_be(epoll, EPOLL, "epoll_ctl");
    may_happen(false);
    if (fd < FIRST_FD || fd >= MOST_FDS || table[fd].kind == UNUSED)
        wrong("epoll_ctl: there is no descriptor %d", fd);
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
    may_happen(true);
    if (fault()) {
        tell("epoll_wait is interrupted (EINTR)");
        return (int)fails(EINTR);
    }
    sleep_until_news(ms);
    for (int looks = news_count; looks > 0 && count < most; looks--) {
        int fd = news[0];
        uint32_t state = state_of(fd);
        strike_off(0);
        if (state == 0)
            continue;
        tell("epoll reports descriptor %d:%s%s%s%s%s", fd,
             state & EPOLLIN ? " readable" : "", state & EPOLLOUT ? " writable" : "",
             state & EPOLLRDHUP ? " ended" : "", state & EPOLLHUP ? " hung-up" : "",
             state & EPOLLERR ? " error" : "");
        events[count] = table[fd].watch;
        events[count++].events = state;
        if (!(table[fd].watch.events & EPOLLET))
            note_news(fd); /* level-triggered: again next time */
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

/* ---- sockets --------------------------------------------------------------------------- */

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    (void)flags;
    must_be(fd, LISTENER, "accept");
    may_happen(false);
    if (fault())
        return (int)fails(EINTR);
    tell("accept: %s", world.waiting == 0 ? "nobody (EAGAIN)" : "one");
    if (world.waiting == 0)
        return (int)fails(EAGAIN);
    struct peer *peer = &world.peers[world.backlog[0]];
    world.waiting--;
    memmove(world.backlog, world.backlog + 1, sizeof world.backlog - sizeof(int));
    memset(address, 0, sizeof(struct sockaddr_in));
    address->sa_family = AF_INET;
    *size = sizeof(struct sockaddr_in);
    return peer_connect(peer);
}

/* Fails with the peer's error, once. */
static long fails_with_error_of(struct peer *peer, const char *call)
{
    int error = peer->error;
    peer->error = 0;
    tell("%s peer %d fails: %s", call, number_of(peer), strerror(error));
    return fails(error);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    unsigned char *bytes = buffer;
    int length = 0;

    (void)flags;
    must_be(fd, STREAM, "recv");
    struct peer *peer = table[fd].peer;
    may_happen(false);
    if (fault()) {
        tell("recv from peer %d fails: EINTR", number_of(peer));
        return fails(EINTR);
    }
    if (peer->error != 0)
        return fails_with_error_of(peer, "recv from");
    while (peer->read < peer->said && length < (int)size)
        bytes[length++] = byte_of(peer, peer->read++);
    if (length == 0 && !peer->ended && !peer->reset) {
        tell("recv from peer %d: nothing (EAGAIN)", number_of(peer));
        return fails(EAGAIN);
    }
    tell("recv from peer %d gives %d", number_of(peer), length);
    return length;
}

/* How much of it goes out: what there is room for; or less, which is a fault. */
static int part_that_fits(const struct peer *peer, int length)
{
    int fits = room_of(peer) < length ? room_of(peer) : length;
    return fits > 1 && fault() ? 1 + choose(fits - 1) : fits;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    const unsigned char *echo = bytes;

    must_be(fd, STREAM, "send");
    struct peer *peer = table[fd].peer;
    if (!(flags & MSG_NOSIGNAL))
        wrong("send without MSG_NOSIGNAL");
    may_happen(false);
    if (peer->error != 0)
        return fails_with_error_of(peer, "send to");
    if (peer->reset)
        return fails(EPIPE);
    if (fault()) {
        tell("send to peer %d fails: EINTR", number_of(peer));
        return fails(EINTR);
    }
    int sent = part_that_fits(peer, (int)length);
    peer->no_room = sent < (int)length;
    tell("send to peer %d takes %d of %d", number_of(peer), sent, (int)length);
    for (int i = 0; i < sent; i++, peer->echoed++)
        if (peer->echoed >= peer->read || echo[i] != byte_of(peer, peer->echoed))
            wrong("peer %d gets the wrong byte as number %d", number_of(peer),
                  peer->echoed + 1);
    return sent == 0 ? fails(EAGAIN) : sent;
}

/* ---- clock, mutex, memory -------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    if (world.left.delays > 0)
        may_happen(true);
    now->tv_sec = world.clock / 1000;
    now->tv_nsec = world.clock % 1000 * 1000000;
    return 0;
}

/* The other thread gets the lock before this one, or after it. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    may_happen(false);
    return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int result = __real_pthread_mutex_unlock(mutex);
    may_happen(false);
    return result;
}

static int blocks;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *block, size_t size);

static bool no_memory(void)
{
    if (!fault())
        return false;
    world.failures++;
    tell("no memory");
    return true;
}

void *__wrap_malloc(size_t size)
{
    if (no_memory())
        return NULL;
    blocks++;
    return __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    if (no_memory())
        return NULL;
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
    void *block = __wrap_malloc(size);
    (void)at, (void)protection, (void)flags, (void)fd, (void)offset;
    return block == NULL ? MAP_FAILED : block;
}

int __wrap_munmap(void *block, size_t size)
{
    (void)size;
    __wrap_free(block);
    return 0;
}

/* ---- the beginning and the end of a run -------------------------------------------------- */

void world_begin(const struct scenario *scenario)
{
    world = (struct world){.left = *scenario, .clock = 1000000};
    memset(table, 0, sizeof table);
    news_count = 0;
    blocks = 0;
}

void world_end(void)
{
    for (int fd = FIRST_FD; fd < MOST_FDS; fd++)
        if (table[fd].kind != UNUSED)
            wrong("descriptor %d is never closed", fd);
    if (blocks != 0)
        wrong("%d blocks of memory are never freed", blocks);
}
