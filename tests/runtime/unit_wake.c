/* unit_wake.c: wakers: before, during and after a poll, and after the end. */
#include "unit.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static struct counts counts;
static struct notify notify;

/* Lets everybody else have a turn, and comes back. */
#define TURN() AWAIT(done, self->yield, yield_now())

BODY(woken_twice_in_line)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    TURN();
    assert(counts.polls == 1);
    counts.waker->wake(counts.waker);
    counts.waker->wake(counts.waker);
    TURN();
    assert(counts.polls == 2);
    TURN();
    assert(counts.polls == 2);
    task_detach(&self->join);
    ASYNC_END(done);
}

TEST(woken_twice_is_polled_once)
{
    assert(run(woken_twice_in_line) == 0);
    assert(counts.polls == 2 && counts.drops == 1);
}

BODY(nobody_wakes_it)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    TURN();
    TURN();
    TURN();
    task_detach(&self->join);
    ASYNC_END(done);
}

TEST(not_woken_is_not_polled)
{
    assert(run(nobody_wakes_it) == 0);
    assert(counts.polls == 1 && counts.drops == 1);
}

/* In its first poll it wakes itself, as often as `times`. */
static int times;
static struct poll wake_self(struct counts *its, struct waker *waker)
{
    for (int i = 0; i < times && its->polls == 1; i++)
        waker->wake(waker);
    return PENDING;
}

TEST(woken_while_polled_is_polled_once_more)
{
    counts.on_poll = wake_self;
    times = 1;
    assert(run(nobody_wakes_it) == 0);
    assert(counts.polls == 2 && counts.drops == 1);
}

TEST(woken_twice_while_polled_is_polled_once_more)
{
    counts.on_poll = wake_self;
    times = 2;
    assert(run(nobody_wakes_it) == 0);
    assert(counts.polls == 2 && counts.drops == 1);
}

BODY(wake_after_its_end)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    TURN();
    assert(counts.polls == 1 && counts.drops == 1);
    counts.waker->wake(counts.waker); /* the handle still holds the task */
    TURN();
    assert(counts.polls == 1 && counts.drops == 1);
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(woken_after_its_end_nothing_happens)
{
    counts.on_poll = ready_at_once;
    assert(run(wake_after_its_end) == 7);
    assert(counts.polls == 1 && counts.drops == 1);
}

static struct poll wake_and_end(struct counts *its, struct waker *waker)
{
    (void)its;
    waker->wake(waker); /* in line, and over */
    return READY(7);
}

BODY(let_it_go)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    task_detach(&self->join);
    TURN();
    TURN();
    ASYNC_END(done);
}

TEST(woken_in_its_last_poll_and_let_go)
{
    counts.on_poll = wake_and_end;
    assert(run(let_it_go) == 0);
    assert(counts.polls == 1 && counts.drops == 1);
}

/* ---- notify ------------------------------------------------------------------------ */

BODY(rung_before)
{
    long done;
    ASYNC_BEGIN(stage);
    notify_ring(&notify);
    notify_ring(&notify); /* two are one */
    AWAIT(done, self->notified, notified(&notify));
    self->notified = notified(&notify);
    AWAIT(done, self->timeout, timeout(&self->notified.future, 5));
    ASYNC_END(done);
}

TEST(a_ring_is_kept_and_two_are_one)
{
    assert(run(rung_before) == -ETIMEDOUT);
}

BODY(wait_for_ring)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->notified, notified(&notify));
    ASYNC_END(done);
}

BODY(ring_for_other)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(wait_for_ring, &counts);
    TURN();
    assert(counts.polls == 1 && counts.drops == 0);
    notify_ring(&notify);
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(a_ring_wakes_who_waits)
{
    assert(run(ring_for_other) == 0);
    assert(counts.polls == 2 && counts.drops == 1);
}

/* One that is dropped before its first poll has left no waker, and takes nobody else's. */
BODY(drop_one_unpolled)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(wait_for_ring, &counts);
    TURN();
    self->notified = notified(&notify);
    future_drop(&self->notified.future);
    notify_ring(&notify);
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(a_future_that_was_never_polled_takes_nobodys_waker)
{
    assert(run(drop_one_unpolled) == 0);
    assert(counts.polls == 2 && counts.drops == 1);
}

/* ---- bells of the reactor ---------------------------------------------------------- */

static int other;
static struct tcp_stream stream;

static void *write_later(void *nothing)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    ssize_t sent = write(other, "x", 1);
    assert(sent == 1);
    return nothing;
}

BODY(sleep_until_rung)
{
    pthread_t writer;
    long done;
    int error;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    error = pthread_create(&writer, NULL, write_later, NULL);
    assert(error == 0);
    (void)pthread_detach(writer);
    AWAIT(done, self->readable, tcp_readable(&stream));
    tcp_close(&stream);
    ASYNC_END(done);
}

TEST(rung_while_everybody_sleeps)
{
    assert(run(sleep_until_rung) == 0);
}

BODY(rung_already)
{
    long done;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    done = write(other, "x", 1);
    assert(done == 1);
    TURN(); /* the reactor hears it: nobody waits yet */
    TURN();
    AWAIT(done, self->readable, tcp_readable(&stream));
    tcp_close(&stream);
    ASYNC_END(done);
}

TEST(rung_before_anybody_waits)
{
    assert(run(rung_already) == 0);
}
