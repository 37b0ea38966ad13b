/* timer.c: sleep, and a limit for any other future. See timer.h.
 *
 * Those who sleep stand in a list, the one to wake first in front. Whoever comes looks
 * for his place from the back: most limits are alike, so he finds it at once. (Not so at
 * closing time: 16,000 short limits walk past those with a long one, which takes a third
 * of a second.) Many different ones would want a heap.
 */
#include "timer.h"

#include <errno.h>
#include <limits.h>

#include "clock.h"

static _Thread_local struct {
    struct sleep *first, *last;
} sleepers;

/* Behind all who wake no later than he does: who came first wakes first. */
static void enlist(struct sleep *sleep, struct waker *waker)
{
    struct sleep *before = sleepers.last;

    while (before != NULL && before->deadline > sleep->deadline)
        before = before->before;
    sleep->before = before;
    sleep->next = before == NULL ? sleepers.first : before->next;
    *(sleep->before == NULL ? &sleepers.first : &sleep->before->next) = sleep;
    *(sleep->next == NULL ? &sleepers.last : &sleep->next->before) = sleep;
    sleep->waker = waker;
}

static void strike_out(struct sleep *sleep)
{
    if (sleep->waker == NULL)
        return;
    *(sleep->before == NULL ? &sleepers.first : &sleep->before->next) = sleep->next;
    *(sleep->next == NULL ? &sleepers.last : &sleep->next->before) = sleep->before;
    sleep->waker = NULL;
}

static struct poll sleep_poll(struct future *future, struct waker *waker)
{
    struct sleep *self = (struct sleep *)future;

    if (self->deadline == FOREVER)
        return PENDING;
    if (clock_now() >= self->deadline) {
        strike_out(self);
        return READY(0);
    }
    if (self->waker == NULL)
        enlist(self, waker);
    self->waker = waker;
    return PENDING;
}

static void sleep_drop(struct future *future)
{
    strike_out((struct sleep *)future);
}

/* clock_now() leaves out the fraction of a millisecond: one more, so that we never wake
 * before the time. */
struct sleep sleep_for(int64_t ms)
{
    static const struct future_kind kind = {sleep_poll, sleep_drop};
    struct sleep sleep = {.future = {&kind}, .deadline = FOREVER};

    if (ms <= 0)
        sleep.deadline = 0;
    else if (ms != FOREVER) {
        int64_t now = clock_now();
        sleep.deadline = ms < FOREVER - now - 1 ? now + ms + 1 : FOREVER;
    }
    return sleep;
}

static struct poll timeout_poll(struct future *future, struct waker *waker)
{
    struct timeout *self = (struct timeout *)future;
    struct poll answer = future_poll(self->limited, waker);

    if (answer.ready) {
        strike_out(&self->sleep);
        return answer;
    }
    if (!sleep_poll(&self->sleep.future, waker).ready)
        return PENDING;
    future_drop(self->limited);
    return READY(-ETIMEDOUT);
}

static void timeout_drop(struct future *future)
{
    struct timeout *self = (struct timeout *)future;
    future_drop(self->limited);
    strike_out(&self->sleep);
}

struct timeout timeout(struct future *limited, int64_t ms)
{
    static const struct future_kind kind = {timeout_poll, timeout_drop};
    return (struct timeout){
        .future = {&kind}, .limited = limited, .sleep = sleep_for(ms)};
}

int timers_wait(void)
{
    if (sleepers.first == NULL)
        return -1;
    int64_t left = sleepers.first->deadline - clock_now();
    return left <= 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX;
}

void timers_wake(void)
{
    if (sleepers.first == NULL)
        return;
    int64_t now = clock_now();
    while (sleepers.first != NULL && sleepers.first->deadline <= now) {
        struct waker *waker = sleepers.first->waker;
        strike_out(sleepers.first);
        waker->wake(waker);
    }
}
