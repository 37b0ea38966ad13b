/* timer.h: sleep, and a limit for any other future: the kitchen clock. */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

#include "future.h"

/* Ready when `ms` milliseconds have gone by since this call, never earlier; its number is
 * 0. FOREVER never ends, and costs nothing. (Tokio: time::sleep.) */
#define FOREVER INT64_MAX
struct sleep {
    struct future future;
    int64_t deadline;            /* as clock_now() counts */
    struct sleep *next, *before; /* in the list of those who sleep */
    struct waker *waker;         /* NULL: not in the list */
};
struct sleep sleep_for(int64_t ms);

/* The other future's number, or -ETIMEDOUT when it is not ready after `ms` milliseconds:
 * then the other one is dropped. It must stay where it is as long as the limit does.
 * (Tokio: time::timeout.) */
struct timeout {
    struct future future;
    struct future *limited;
    struct sleep sleep;
};
struct timeout timeout(struct future *limited, int64_t ms);

/* ---- for the runtime --------------------------------------------------------------- */

/* How long one may sleep before the next timer, in milliseconds for epoll_wait(): -1,
 * there is none; 0, one is due. */
int timers_wait(void);

/* Wakes the tasks of all timers that are due. */
void timers_wake(void);

#endif
