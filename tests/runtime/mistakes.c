/* mistakes.c: each of these must abort, and name the rule that it breaks. See unit.h.
 *
 * Mistakes that a compiler finds are in compile.c.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <pthread.h>
#include <string.h>

static struct counts one;
static struct bell waiting;
static struct sleep sleeps[2];
static struct notify notify;
static struct notified told[2];

/* ---- polled, moved, forgotten ------------------------------------------------------ */

ABORTS(a_future_polled_after_it_was_ready, "polled after it was ready or dropped")
{
    sleeps[0] = sleep_for(0);
    check(future_poll(&sleeps[0].future, &waiting.waker) == 0);
    (void)future_poll(&sleeps[0].future, &waiting.waker);
}

ABORTS(a_leaf_moved_while_it_waits, "moved or overwritten")
{
    told[0] = notified(&notify);
    check(future_poll(&told[0].future, &waiting.waker) == PENDING);
    told[1] = told[0];
    memset(&told[0], 0, sizeof told[0]);
    future_drop(&told[1].future);
}

ABORTS(a_leaf_overwritten_while_it_waits, "overwritten")
{
    told[0] = notified(&notify);
    check(future_poll(&told[0].future, &waiting.waker) == PENDING);
    told[0] = notified(&notify);
    notify_all(&notify);
}

struct naps {
    struct future future;
    struct async async;
    struct sleep sleep;
};

static long naps_poll(struct future *future, struct waker *waker)
{
    struct naps *self = (struct naps *)future;
    long done;

    ASYNC_BEGIN;
    AWAIT(done, self->sleep, sleep_for(5));
    ASYNC_END;
    return done;
}
ASYNC_VTABLE(naps);

ABORTS(an_async_function_moved_while_it_waits, "a future was moved after its first poll")
{
    struct naps here = {{&naps_vtable}, {0}, {{0}, 0, NULL, 0}}, there;

    check(future_poll(&here.future, &waiting.waker) == PENDING);
    there = here;
    (void)future_poll(&there.future, &waiting.waker);
}

ABORTS(an_async_function_spawned_while_it_waits, "after its first poll")
{
    struct naps naps = {{&naps_vtable}, {0}, {{0}, 0, NULL, 0}};

    check(future_poll(&naps.future, &waiting.waker) == PENDING);
    check(spawn(naps) == 0);
    turn();
}

ABORTS(a_variable_spawned_twice, "spawned")
{
    sleeps[0] = sleep_for(5);
    check(spawn(sleeps[0]) == 0);
    check(spawn(sleeps[0]) == 0);
}

ABORTS(a_sleep_that_is_forgotten, "a sleep was neither awaited to its end nor dropped")
{
    sleeps[0] = sleep_for(5);
    check(future_poll(&sleeps[0].future, &waiting.waker) == PENDING);
}

ABORTS(a_handle_that_is_forgotten, "handle was neither awaited nor dropped")
{
    start(&one.handle, probe, probe(&one));
}

ABORTS(a_stream_that_is_forgotten, "a source was neither closed nor unregistered")
{
    struct pair pair;
    pair_open(&pair);
}

/* ---- wakers ------------------------------------------------------------------------ */

static long nothing_poll(struct future *future, struct waker *waker)
{
    (void)future, (void)waker;
    return PENDING;
}

ABORTS(a_leaf_that_returns_pending_and_keeps_no_waker,
       "its waker was neither kept nor called")
{
    static const struct future_vtable vtable = {nothing_poll, NULL};
    struct stopped leaf = {.future = {&vtable}};

    check(spawn(leaf) == 0);
    turn();
}

static void *wake_from_there(void *waker)
{
    ((struct waker *)waker)->wake(waker);
    return NULL;
}

static void wake_from_another_thread(struct waker *waker)
{
    pthread_t thread;

    check(pthread_create(&thread, NULL, wake_from_there, waker) == 0);
    (void)pthread_join(thread, NULL);
}

ABORTS(a_task_woken_from_another_thread, "woken from another thread: see inbox.h")
{
    start(NULL, probe, probe(&one));
    turn();
    wake_from_another_thread(one.waker);
}

/* ---- runtimes ---------------------------------------------------------------------- */

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

/* ---- other threads ----------------------------------------------------------------- */

static long pending(void *argument)
{
    (void)argument;
    return PENDING;
}

ABORTS(an_offloaded_function_that_returns_a_number_of_the_runtime,
       "an offloaded function returns a count or -errno")
{
    (void)await(offload, offload(pending, NULL));
}
