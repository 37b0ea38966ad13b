/* reactor.h: which descriptor is ready, and who wants to know: the bells on the tables.
 *
 * A descriptor is registered once. Its bell rings once for each change (edge-triggered), so
 * the reactor remembers what it has heard until a system call shows that it is used up.
 */
#ifndef REACTOR_H
#define REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "future.h"

enum side { READING, WRITING };

/* Opens and closes the reactor of this thread. Open: 0 or -errno. */
int reactor_open(void);
void reactor_close(void);

/* Registers a descriptor for both sides. `flags`: 0, or EPOLLEXCLUSIVE for one that several
 * reactors watch. Returns 0 or -errno; -EPERM: a file, which is always ready. */
int reactor_add(int fd, uint32_t flags);

/* Forgets the descriptor and who waits for it. Call it before close(), or an event that is
 * still in the air would find somebody else's table. */
void reactor_remove(int fd);

/* Whether that side of the descriptor is ready, as far as we have heard. When it is not, the
 * waker is called once it is. One task a side may wait. */
bool reactor_ready(int fd, enum side side, struct waker *waker);

/* Takes back the waker that waits there; for the leaf that left it. */
void reactor_forget(int fd, enum side side);

/* A system call has moved `moved` bytes of `asked`, or failed with -errno: is that side used
 * up? It is after -EAGAIN, and after less than asked for; except that when the other end has
 * said goodbye a read goes on until it has seen it. */
void reactor_used(int fd, enum side side, long moved, long asked);

/* Listens to the bells and wakes whoever waits for them: for `ms` milliseconds at most, -1:
 * as long as it takes. (Tokio: mio's Poll::poll and the I/O driver.) */
void reactor_wait(int ms);

#endif
