/* reactor.c: which descriptor is ready, and who wants to know. See reactor.h. */
#define _GNU_SOURCE
#include "reactor.h"

#include <stdlib.h>
#include <unistd.h>

#define BATCH 256
#define PAGE 128u /* bells in a page of the table */

/* The table of bells, by descriptor, in pages that are made when first needed and never
 * move: so that a bell's address is good for as long as the reactor. */
static _Thread_local struct {
    int epoll;
    struct bell **pages;
    unsigned page_count;
} reactor = {.epoll = -1};

int reactor_open(void)
{
    assert(reactor.epoll == -1);
    reactor.epoll = epoll_create1(EPOLL_CLOEXEC);
    return reactor.epoll == -1 ? -errno : 0;
}

void reactor_close(void)
{
    for (unsigned i = 0; i < reactor.page_count; i++)
        free(reactor.pages[i]);
    free(reactor.pages);
    (void)close(reactor.epoll);
    reactor.pages = NULL;
    reactor.page_count = 0;
    reactor.epoll = -1;
}

/* The bell of a descriptor; NULL: no memory. */
static struct bell *bell_of(unsigned fd)
{
    unsigned page = fd / PAGE;

    if (page >= reactor.page_count) {
        struct bell **pages = realloc(reactor.pages, (page + 1) * sizeof *pages);
        if (pages == NULL)
            return NULL;
        reactor.pages = pages;
        while (reactor.page_count <= page)
            pages[reactor.page_count++] = NULL;
    }
    if (reactor.pages[page] == NULL)
        reactor.pages[page] = calloc(PAGE, sizeof(struct bell));
    return reactor.pages[page] == NULL ? NULL : &reactor.pages[page][fd % PAGE];
}

int reactor_add(int fd, uint32_t flags, struct bell **hung)
{
    struct bell *bell = bell_of((unsigned)fd);
    struct epoll_event event = {.data.ptr = bell};

    if (bell == NULL)
        return -ENOMEM;
    /* EPOLLEXCLUSIVE goes with few others: see epoll_ctl(2) */
    event.events = EPOLLET | EPOLLIN |
                   (flags != 0 ? flags : EPOLLPRI | EPOLLOUT | EPOLLRDHUP);
    if (epoll_ctl(reactor.epoll, EPOLL_CTL_ADD, fd, &event) == -1)
        return -errno; /* -EEXIST: the bell that hangs there stays as it is */
    *bell = (struct bell){.fd = fd}; /* nobody listens before we are done: one thread */
    *hung = bell;
    return 0;
}

void reactor_remove(struct bell *bell)
{
    assert(bell->reader == NULL && bell->writer == NULL);
    /* close() does it too, but only if nobody has a copy of the descriptor. */
    (void)epoll_ctl(reactor.epoll, EPOLL_CTL_DEL, bell->fd, NULL); /* it has been added */
}

static void wake(struct waker **waiter)
{
    struct waker *waker = *waiter;
    *waiter = NULL;
    if (waker != NULL)
        waker->wake(waker);
}

/* Who has hung up, or was cut off, is worth a read and a write: they tell. */
static void ring(struct bell *bell, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR))
        events |= EPOLLIN | EPOLLOUT;
    bell->heard |= events;
    if (events & READ_SIDE)
        wake(&bell->reader);
    if (events & WRITE_SIDE)
        wake(&bell->writer);
}

void reactor_wait(int ms)
{
    struct epoll_event events[BATCH];
    int rung = epoll_wait(reactor.epoll, events, BATCH, ms);

    for (int i = 0; i < rung; i++) /* -1, interrupted: nobody has rung */
        ring(events[i].data.ptr, events[i].events);
}
