/* mistakes.c: each of these must abort, and name the rule that it breaks. See unit.h.
 *
 * Mistakes that a compiler can find are in compile.c.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <pthread.h>

static struct counts one;

ABORTS(a_future_polled_after_it_was_ready, "polled after it was ready")
{
    struct bell waiting = bell();
    struct sleep sleep = sleep_for(0);

    check(future_poll(&sleep.future, &waiting.waker) == 0);
    (void)future_poll(&sleep.future, &waiting.waker);
}

ABORTS(a_future_polled_after_it_was_dropped, "polled after it was ready or dropped")
{
    struct bell waiting = bell();
    struct sleep sleep = sleep_for(5);

    future_drop(&sleep.future);
    (void)future_poll(&sleep.future, &waiting.waker);
}

ABORTS(a_second_runtime_opened_on_one_thread, "this thread has a runtime already")
{
    (void)runtime_open();
}

static long block(struct counts *its, struct waker *waker)
{
    (void)its, (void)waker;
    return await(sleep, sleep_for(5));
}

ABORTS(block_on_inside_a_task, "block_on() inside a task")
{
    one.on_poll = block;
    start(NULL, probe, probe(&one));
    turn();
}

ABORTS(a_sleep_that_is_forgotten_and_not_dropped, "neither awaited to its end nor dropped")
{
    static struct sleep sleep;
    struct bell waiting = bell();

    sleep = sleep_for(5);
    check(future_poll(&sleep.future, &waiting.waker) == PENDING);
}

static void *wake_from_there(void *waker)
{
    ((struct waker *)waker)->wake(waker);
    return NULL;
}

ABORTS(a_task_woken_from_another_thread, "woken from another thread")
{
    pthread_t thread;

    start(NULL, probe, probe(&one));
    turn();
    check(pthread_create(&thread, NULL, wake_from_there, one.waker) == 0);
    (void)pthread_join(thread, NULL);
}
