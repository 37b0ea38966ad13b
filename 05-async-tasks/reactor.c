/* reactor.c: which descriptor is ready, and who wants to know. See reactor.h. */
#define _GNU_SOURCE
#include "reactor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 256
#define PAGE 128 /* bells in a page of the table */

struct bell {
    struct waker *waiter[2]; /* by side; NULL: nobody */
    bool ready[2];           /* by side */
    bool ended;              /* no more will come after what is in the buffer */
    bool hung;               /* somebody has registered it */
};

/* The table of bells, by descriptor, in pages that are made when first needed and never
 * move: a table made anew at double the size would hold room for guests who never come. */
static _Thread_local struct {
    int epoll;
    struct bell **pages;
    int page_count;
} reactor = {.epoll = -1};

int reactor_open(void)
{
    assert(reactor.epoll == -1);
    reactor.epoll = epoll_create1(EPOLL_CLOEXEC);
    return reactor.epoll == -1 ? -errno : 0;
}

void reactor_close(void)
{
    for (int i = 0; i < reactor.page_count; i++)
        free(reactor.pages[i]);
    free(reactor.pages);
    (void)close(reactor.epoll);
    reactor.pages = NULL;
    reactor.page_count = 0;
    reactor.epoll = -1;
}

/* The bell of a descriptor whose page has been made. */
static struct bell *bell_of(int fd)
{
    return &reactor.pages[fd / PAGE][fd % PAGE];
}

static bool make_page(int fd)
{
    int page = fd / PAGE;

    if (page >= reactor.page_count) {
        int count = page + 1;
        struct bell **pages = realloc(reactor.pages, (size_t)count * sizeof(struct bell *));
        if (pages == NULL)
            return false;
        for (int i = reactor.page_count; i < count; i++)
            pages[i] = NULL;
        reactor.pages = pages;
        reactor.page_count = count;
    }
    if (reactor.pages[page] == NULL)
        reactor.pages[page] = calloc(PAGE, sizeof(struct bell));
    return reactor.pages[page] != NULL;
}

int reactor_add(int fd, uint32_t flags)
{
    struct epoll_event event = {.data.fd = fd};

    /* EPOLLEXCLUSIVE goes with few others: see epoll_ctl(2) */
    event.events = EPOLLET | EPOLLIN | (flags != 0 ? flags : EPOLLOUT | EPOLLRDHUP);
    if (!make_page(fd))
        return -ENOMEM;
    if (epoll_ctl(reactor.epoll, EPOLL_CTL_ADD, fd, &event) == -1)
        return -errno;
    *bell_of(fd) = (struct bell){.hung = true};
    return 0;
}

void reactor_remove(int fd)
{
    struct bell *bell = bell_of(fd);
    assert(bell->waiter[READING] == NULL && bell->waiter[WRITING] == NULL);
    bell->hung = false;
    /* close() does it too, but only if nobody has a copy of the descriptor. */
    (void)epoll_ctl(reactor.epoll, EPOLL_CTL_DEL, fd, NULL); /* can fail for strangers only */
}

bool reactor_ready(int fd, enum side side, struct waker *waker)
{
    struct bell *bell = bell_of(fd);
    if (bell->ready[side])
        return true;
    assert(bell->waiter[side] == NULL || bell->waiter[side] == waker);
    bell->waiter[side] = waker;
    return false;
}

void reactor_forget(int fd, enum side side)
{
    bell_of(fd)->waiter[side] = NULL;
}

void reactor_used(int fd, enum side side, long moved, long asked)
{
    struct bell *bell = bell_of(fd);
    if (moved == -EAGAIN ||
        (moved >= 0 && moved < asked && !(side == READING && bell->ended)))
        bell->ready[side] = false;
}

static void ring(struct bell *bell, enum side side)
{
    struct waker *waiter = bell->waiter[side];
    bell->ready[side] = true;
    bell->waiter[side] = NULL;
    if (waiter != NULL)
        waiter->wake(waiter);
}

void reactor_wait(int ms)
{
    struct epoll_event events[BATCH];

    int rung = epoll_wait(reactor.epoll, events, BATCH, ms);
    for (int i = 0; i < rung; i++) { /* -1, interrupted: nobody has rung */
        uint32_t heard = events[i].events;
        struct bell *bell = bell_of(events[i].data.fd);
        if (!bell->hung)
            continue; /* has left; this was still in the air */
        if (heard & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            bell->ended = true;
        if (heard & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            ring(bell, READING);
        if (heard & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            ring(bell, WRITING);
    }
}
