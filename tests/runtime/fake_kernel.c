/* fake_kernel.c: the system calls, as far as the server makes them. See fake_kernel.h.
 *
 * Epoll is the real one's in small: whatever happens to a watched descriptor puts it on
 * the list of news, once; epoll_wait() looks at each on the list, tells all that is true
 * of it now, and (EPOLLET) strikes it off. epoll(7), and ep_send_events() in Linux's
 * fs/eventpoll.c; what is true of a socket is tcp_poll() in net/ipv4/tcp.c.
 */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "sockets.h"

#define FIRST_FD 3
#define MAX_FD (FIRST_FD + MAX_GUESTS + 4)
#define PLATE 2 /* the Makefile makes the server's numbers small */
#define BATCH 2

enum kind { UNUSED, DOOR, EPOLL, EVENT, STREAM };
struct descriptor {
    enum kind kind;
    struct guest *guest;
    struct epoll_event watch; /* events 0: not watched */
    bool rung;                /* EVENT */
};

static struct {
    struct descriptor table[MAX_FD];
    int news[MAX_FD], news_count; /* descriptors, the oldest first */
} kernel;

/* ---- descriptors ------------------------------------------------------------------- */

static int open_descriptor(enum kind kind, struct guest *guest)
{
    int fd = FIRST_FD; /* the lowest that is free: the real one does so too */
    while (kernel.table[fd].kind != UNUSED)
        fd++;
    kernel.table[fd] = (struct descriptor){.kind = kind, .guest = guest};
    return fd;
}

static struct descriptor *descriptor_of(int fd, enum kind kind, const char *call)
{
    if (fd < FIRST_FD || fd >= MAX_FD || kernel.table[fd].kind != kind)
        wrong("%s: descriptor %d is not what the server thinks", call, fd);
    return &kernel.table[fd];
}

static struct guest *guest_of(int fd, const char *call)
{
    return descriptor_of(fd, STREAM, call)->guest;
}

static long fails(int error)
{
    errno = error;
    return -1;
}

/* ---- news -------------------------------------------------------------------------- */

static uint32_t state_of_stream(struct guest *guest)
{
    uint32_t state = 0;

    if (guest->reset || (guest->goodbye && guest->shut))
        state |= EPOLLHUP;
    if (guest->reset || guest->goodbye)
        state |= EPOLLIN | EPOLLRDHUP;
    if (guest->said > guest->read)
        state |= EPOLLIN;
    if (guest->reset || guest->shut || room_of(guest) > 0)
        state |= EPOLLOUT;
    else
        guest->no_room = true;
    return state | (guest->error != 0 ? EPOLLERR : 0);
}

static uint32_t news_of(int fd)
{
    const struct descriptor *descriptor = &kernel.table[fd];
    uint32_t state = 0;

    if (descriptor->kind == STREAM)
        state = state_of_stream(descriptor->guest);
    else if (descriptor->kind == DOOR ? world.waiting > 0 : descriptor->rung)
        state = EPOLLIN;
    if (descriptor->kind == EVENT)
        state |= EPOLLOUT;
    return state & (descriptor->watch.events | EPOLLHUP | EPOLLERR);
}

static void strike_off(int position)
{
    kernel.news_count--;
    for (int i = position; i < kernel.news_count; i++)
        kernel.news[i] = kernel.news[i + 1];
}

static void forget_news(int fd)
{
    for (int i = kernel.news_count - 1; i >= 0; i--)
        if (kernel.news[i] == fd)
            strike_off(i);
}

static void note_news(int fd)
{
    if (kernel.table[fd].watch.events == 0)
        return;
    for (int i = 0; i < kernel.news_count; i++)
        if (kernel.news[i] == fd)
            return;
    kernel.news[kernel.news_count++] = fd;
}

bool kernel_has_news(void)
{
    while (kernel.news_count > 0 && news_of(kernel.news[0]) == 0)
        strike_off(0); /* it was news once */
    return kernel.news_count > 0;
}

void kernel_event(const struct guest *guest)
{
    if (guest->place == SEATED)
        note_news(guest->fd);
}

static void note_news_of_all(enum kind kind)
{
    for (int fd = FIRST_FD; fd < MAX_FD; fd++)
        if (kernel.table[fd].kind == kind)
            note_news(fd);
}

void kernel_door_event(void)
{
    note_news_of_all(DOOR);
}

/* ---- epoll ------------------------------------------------------------------------- */

int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int ms);

int __wrap_epoll_create1(int flags)
{
    (void)flags;
    return open_descriptor(EPOLL, NULL);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct descriptor *descriptor = &kernel.table[fd];

    (void)descriptor_of(epoll, EPOLL, "epoll_ctl");
    if (fd < FIRST_FD || fd >= MAX_FD || descriptor->kind == UNUSED)
        wrong("epoll_ctl: there is no descriptor %d", fd);
    if (operation == EPOLL_CTL_DEL) {
        descriptor->watch.events = 0;
        forget_news(fd);
        return 0;
    }
    descriptor->watch = *event;
    if (news_of(fd) != 0)
        note_news(fd);
    return 0;
}

static void tell_news(int fd, uint32_t events)
{
    static const char *const kinds[] = {"nobody", "the door", "epoll", "the Ctrl-C bell"};
    const struct descriptor *descriptor = &kernel.table[fd];
    char who[] = "guest ?";

    who[6] = descriptor->kind == STREAM ? name_of(descriptor->guest) : '?';
    tell("epoll reports %s:%s%s%s%s%s",
         descriptor->kind == STREAM ? who : kinds[descriptor->kind],
         events & EPOLLIN ? " readable" : "", events & EPOLLOUT ? " writable" : "",
         events & EPOLLRDHUP ? " said-goodbye" : "", events & EPOLLHUP ? " hung-up" : "",
         events & EPOLLERR ? " error" : "");
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
    int count = 0;

    (void)descriptor_of(epoll, EPOLL, "epoll_wait");
    if (most != BATCH)
        wrong("the server was not built with a BATCH of %d", BATCH);
    world_may_act();
    if (!world_sleep(ms))
        return (int)fails(EINTR);
    int looks = kernel.news_count;
    while (looks-- > 0 && count < most) {
        int fd = kernel.news[0];
        uint32_t news = news_of(fd);
        strike_off(0);
        if (news == 0)
            continue;
        tell_news(fd, news);
        events[count] = kernel.table[fd].watch;
        events[count++].events = news;
        if (!(kernel.table[fd].watch.events & EPOLLET))
            note_news(fd); /* level-triggered: again next time */
    }
    return count;
}

/* ---- sockets ----------------------------------------------------------------------- */

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_close(int fd);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_socket_listen(const char *host, long port, int flags, struct address *here);

int __wrap_socket_listen(const char *host, long port, int flags, struct address *here)
{
    (void)host, (void)port, (void)flags;
    *here = (struct address){.v4 = {.sin_family = AF_INET}};
    return open_descriptor(DOOR, NULL);
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    const struct sockaddr_in nowhere = {.sin_family = AF_INET};

    (void)flags;
    (void)descriptor_of(fd, DOOR, "accept");
    world_may_act();
    if (fault()) {
        int error = choose(2) == 0 ? EINTR : EMFILE;
        tell("accept fails: %s", error == EINTR ? "EINTR" : "EMFILE");
        return (int)fails(error);
    }
    if (world.waiting == 0) {
        tell("accept: nobody (EAGAIN)");
        return (int)fails(EAGAIN);
    }
    struct guest *guest = &world.guests[world.at_door[0]];
    world.waiting--;
    memmove(world.at_door, world.at_door + 1, sizeof world.at_door - sizeof(int));
    tell("accept: guest %c", name_of(guest));
    guest->place = SEATED;
    guest->fd = open_descriptor(STREAM, guest);
    memcpy(address, &nowhere, sizeof nowhere);
    *size = sizeof nowhere;
    return guest->fd;
}

/* Fails with the guest's error, once. */
static long fails_with(struct guest *guest, const char *call)
{
    int error = guest->error;
    guest->error = 0;
    tell("%s guest %c fails: %s", call, name_of(guest), strerror(error));
    return fails(error);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    struct guest *guest = guest_of(fd, "recv");
    unsigned char *bytes = buffer;
    int length = 0;

    (void)flags;
    if (size != PLATE)
        wrong("the server was not built with a PLATE_SIZE of %d", PLATE);
    world_may_act();
    if (fault()) {
        tell("recv from guest %c fails: EINTR", name_of(guest));
        return fails(EINTR);
    }
    while (guest->read < guest->said && length < (int)size)
        bytes[length++] = byte_of(guest, guest->read++);
    guest->too_late = guest->too_late && length == 0;
    if (length == 0 && guest->error != 0)
        return fails_with(guest, "recv from");
    if (length == 0 && !guest->goodbye && !guest->reset) {
        tell("recv from guest %c: nothing (EAGAIN)", name_of(guest));
        return fails(EAGAIN);
    }
    tell("recv from guest %c gives %d", name_of(guest), length);
    return length;
}

/* How much of it goes out: what there is room for; or less, which is a fault. */
static int part_that_fits(const struct guest *guest, int length)
{
    int fits = room_of(guest) < length ? room_of(guest) : length;
    return fits > 1 && fault() ? 1 + choose(fits - 1) : fits;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    struct guest *guest = guest_of(fd, "send");
    const unsigned char *echo = bytes;

    if (!(flags & MSG_NOSIGNAL))
        wrong("send without MSG_NOSIGNAL");
    world_may_act();
    if (guest->error != 0)
        return fails_with(guest, "send to");
    if (guest->reset || guest->shut)
        return fails(EPIPE);
    if (fault()) {
        tell("send to guest %c fails: EINTR", name_of(guest));
        return fails(EINTR);
    }
    int sent = part_that_fits(guest, (int)length);
    guest->no_room = sent < (int)length;
    tell("send to guest %c takes %d of %d", name_of(guest), sent, (int)length);
    for (int i = 0; i < sent; i++, guest->echoed++)
        if (guest->echoed >= guest->read || echo[i] != byte_of(guest, guest->echoed))
            wrong("guest %c gets the wrong byte as number %d", name_of(guest),
                  guest->echoed + 1);
    return sent == 0 ? fails(EAGAIN) : sent;
}

int __wrap_shutdown(int fd, int how)
{
    struct guest *guest = guest_of(fd, "shutdown");

    world_may_act();
    if (how != SHUT_WR)
        wrong("shutdown of more than the server's own side");
    tell("shutdown: the server's goodbye to guest %c", name_of(guest));
    must_be_allowed_to_shut(guest);
    guest->shut = true;
    guest->shut_at = world.clock;
    return guest->reset ? (int)fails(ENOTCONN) : 0;
}

int __wrap_close(int fd)
{
    world_may_act();
    if (fd < FIRST_FD || fd >= MAX_FD || kernel.table[fd].kind == UNUSED)
        wrong("close of descriptor %d, which is not open", fd);
    struct descriptor *descriptor = &kernel.table[fd];
    if (descriptor->kind == STREAM) {
        tell("close: guest %c", name_of(descriptor->guest));
        must_be_allowed_to_close(descriptor->guest);
        descriptor->guest->place = GONE;
    }
    if (descriptor->kind == DOOR)
        world.door_open = false;
    forget_news(fd);
    *descriptor = (struct descriptor){.kind = UNUSED};
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    (void)fd, (void)level, (void)name, (void)value, (void)size;
    return 0;
}

/* ---- the bell of Ctrl-C ------------------------------------------------------------ */

int __wrap_eventfd(unsigned value, int flags);
int __wrap_eventfd_write(int fd, eventfd_t value);

int __wrap_eventfd(unsigned value, int flags)
{
    (void)value, (void)flags;
    return open_descriptor(EVENT, NULL);
}

int __wrap_eventfd_write(int fd, eventfd_t value)
{
    (void)value;
    descriptor_of(fd, EVENT, "eventfd_write")->rung = true;
    note_news(fd);
    return 0;
}

/* ---- a fresh world, and its end ---------------------------------------------------- */

/* The bell of Ctrl-C is hung once in a process: it stays, and is silent again. */
void kernel_begin(void)
{
    for (int fd = FIRST_FD; fd < MAX_FD; fd++) {
        bool stays = kernel.table[fd].kind == EVENT;
        kernel.table[fd] = (struct descriptor){.kind = stays ? EVENT : UNUSED};
    }
    kernel.news_count = 0;
}

void kernel_end(void)
{
    for (int fd = FIRST_FD; fd < MAX_FD; fd++)
        if (kernel.table[fd].kind != UNUSED && kernel.table[fd].kind != EVENT)
            wrong("descriptor %d is never closed", fd);
}
