/* reactor.h: which descriptor is ready, and who wants to know: the bells on the tables.
 *
 * A descriptor is registered once. Its bell rings once for each change (edge-triggered),
 * so the reactor remembers what it has heard until a system call shows that it is used
 * up.
 */
#ifndef REACTOR_H
#define REACTOR_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "future.h"

/* The two sides of a table, each by the name epoll has for "ready". */
enum side { READ_SIDE = EPOLLIN, WRITE_SIDE = EPOLLOUT };

/* One descriptor's bell: what we have heard, and who waits to hear it. It never moves:
 * streams and futures point to it. No event finds the wrong guest: all bells of a batch
 * are rung before any task runs, and who leaves takes his bell off. */
struct bell {
    struct waker *reader, *writer; /* who waits for that side; NULL: nobody */
    int fd;
    uint32_t heard; /* what epoll has said of it, and is not used up */
};

/* Opens and closes the reactor of this thread. Open: 0 or -errno. */
int reactor_open(void);
void reactor_close(void);

/* Hangs a bell on a descriptor, for both sides. `flags`: 0, or EPOLLEXCLUSIVE for one
 * that several reactors watch. Returns 0 with the bell, or -errno; -EPERM: a file, which
 * is always ready. (Tokio: AsyncFd::new.) */
int reactor_add(int fd, uint32_t flags, struct bell **bell);

/* Takes the bell off; call it before close(). */
void reactor_remove(struct bell *bell);

/* Listens to the bells and wakes whoever waits for them: for `ms` milliseconds at most,
 * -1: as long as it takes. (Tokio: the I/O driver, with mio's Poll::poll.) */
void reactor_wait(int ms);

static inline struct waker **bell_waiter(struct bell *bell, enum side side)
{
    return side == READ_SIDE ? &bell->reader : &bell->writer;
}

/* Whether that side is ready, as far as we have heard. When it is not, the waker is
 * called once it is. One future a side may wait at a time. */
static inline bool bell_ready(struct bell *bell, enum side side, struct waker *waker)
{
    if (bell->heard & side)
        return true;
    assert(*bell_waiter(bell, side) == NULL || *bell_waiter(bell, side) == waker);
    *bell_waiter(bell, side) = waker;
    return false;
}

/* For the drop of a leaf that waits there: nobody does any more. (As only one future may
 * wait on a side, it is never another's waker that is forgotten.) */
static inline void bell_forget(struct bell *bell, enum side side)
{
    *bell_waiter(bell, side) = NULL;
}

/* A system call has moved `moved` bytes of `asked`, or failed with -errno: is that side
 * used up? It is after -EAGAIN, and after less than asked for. Except for reads: when the
 * other end has said goodbye, they go on until they have seen it; and a read stops before
 * an urgent byte (MSG_OOB): after one of those only -EAGAIN counts. */
#define MORE_TO_COME (EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)
static inline void bell_used(struct bell *bell, enum side side, long moved, long asked)
{
    bool less = moved >= 0 && moved < asked;
    if (moved == -EAGAIN || (less && !(side == READ_SIDE && bell->heard & MORE_TO_COME)))
        bell->heard &= ~(uint32_t)side;
}

#endif
