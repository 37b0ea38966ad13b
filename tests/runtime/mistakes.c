/* mistakes.c: each of these must abort, and name the rule that it breaks. See unit.h.
 *
 * Mistakes that a compiler finds are in compile.c.
 */
#include "unit.h"

#include <pthread.h>
#include <string.h>

static struct sleep nap;
static struct notify notify;
static struct notified told[2];

/* ---- polled, moved, forgotten ------------------------------------------------------ */

ABORTS(a_future_polled_after_it_was_ready, "polled after it was ready or dropped")
{
    nap = sleep_for(0);
    check(poll_by_hand(nap) == 0);
    (void)poll_by_hand(nap);
}

static void wait_to_be_told(void)
{
    told[0] = notified(&notify);
    check(poll_by_hand(told[0]) == PENDING);
}

ABORTS(a_leaf_moved_while_it_waits, "moved or overwritten")
{
    wait_to_be_told();
    told[1] = told[0];
    memset(&told[0], 0, sizeof told[0]);
    future_drop(&told[1].future);
}

ABORTS(a_leaf_overwritten_while_it_waits, "overwritten")
{
    wait_to_be_told();
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

static struct naps naps_that_wait(struct naps *naps)
{
    *naps = (struct naps){.future = {&naps_vtable}};
    check(poll_by_hand(*naps) == PENDING);
    return *naps;
}

ABORTS(an_async_function_moved_while_it_waits, "a future was moved after its first poll")
{
    struct naps here, there = naps_that_wait(&here);
    (void)poll_by_hand(there);
}

ABORTS(an_async_function_spawned_while_it_waits, "after its first poll")
{
    struct naps here, there = naps_that_wait(&here);
    check(spawn(there) == 0);
    turn();
}

ABORTS(a_variable_spawned_twice, "spawned")
{
    nap = sleep_for(5);
    check(spawn(nap) == 0);
    check(spawn(nap) == 0);
}

ABORTS(a_sleep_that_is_forgotten, "a sleep was neither awaited to its end nor dropped")
{
    nap = sleep_for(5);
    check(poll_by_hand(nap) == PENDING);
}

ABORTS(a_sleep_that_is_moved_and_then_dropped, "a waiting sleep was moved")
{
    struct sleep moved;

    nap = sleep_for(5);
    check(poll_by_hand(nap) == PENDING);
    moved = nap;
    future_drop(&moved.future);
}

ABORTS(a_wait_for_the_stop_that_is_forgotten, "neither awaited to its end nor dropped")
{
    static struct stopped stop;
    stop = stopped();
    check(poll_by_hand(stop) == PENDING);
}

ABORTS(a_handle_that_is_forgotten, "handle was neither awaited nor dropped")
{
    static struct join handle;
    start(&handle, sleep, sleep_for(5));
}

ABORTS(a_stream_that_is_forgotten, "a source was neither closed nor unregistered")
{
    pair_open();
    pair = (struct pair){{{.fd = -1}}, -1};
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
    start(NULL, stopped, (struct stopped){.future = {&vtable}});
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
    spawn_probe(&one);
    wake_from_another_thread(one.waker);
}

ON_POLL(wake_root, wake_from_another_thread(waker); return 0)

ABORTS(a_root_woken_from_another_thread, "woken from another thread: see inbox.h")
{
    one.on_poll = wake_root;
    (void)await(probe, probe(&one));
}

/* ---- runtimes ---------------------------------------------------------------------- */

ABORTS(a_second_runtime_opened_on_one_thread, "this thread has a runtime already")
{
    (void)runtime_open();
}

ON_POLL(block, return await(sleep, sleep_for(5)))

ABORTS(block_on_inside_a_task, "block_on() inside a task")
{
    one.on_poll = block;
    spawn_probe(&one);
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
