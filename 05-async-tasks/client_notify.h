/* client_notify.h: one task rings for another of the same thread. */
#ifndef CLIENT_NOTIFY_H
#define CLIENT_NOTIFY_H

#include "future.h"

/* Begins as {0}. A ring that nobody waits for is kept for the next who does; two are
 * one. */
struct notify {
    struct waker *waiter;
    bool rung;
};

/* Wakes the task that waits, or the next one that will. (Tokio: Notify::notify_one.) */
void notify_ring(struct notify *notify);

/* Ready when it has been rung, since the last time. One task at a time may wait.
 * (Tokio: Notify::notified.) */
struct notified {
    struct future future;
    struct notify *notify;
    struct waker *waker; /* that we have left there; NULL: none */
};
struct notified notified(struct notify *notify);

#endif
