/* unit_time.c: sleep and timeout. */
#include "unit.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define MANY 10000

static struct counts counts;
static struct notify never;
static int64_t began;

#define TURN() AWAIT(done, self->yield, yield_now())

BODY(sleep_zero)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->sleep, sleep_for(0));
    AWAIT(done, self->sleep, sleep_for(-1));
    AWAIT(done, self->sleep, sleep_for(INT64_MIN));
    ASYNC_END(done);
}

TEST(sleep_of_nothing_is_ready_at_once)
{
    struct stage root = stage(sleep_zero, &counts);
    assert(block_on(root) == 0);
    assert(counts.polls == 1);
}

BODY(sleep_short)
{
    long done;
    ASYNC_BEGIN(stage);
    for (self->i = 1; self->i <= 20; self->i++) {
        began = now_us();
        AWAIT(done, self->sleep, sleep_for(self->i % 4 + 1));
        assert(now_us() - began >= (self->i % 4 + 1) * 1000);
    }
    ASYNC_END(done);
}

TEST(sleep_is_never_too_short)
{
    struct stage root = stage(sleep_short, &counts);
    assert(block_on(root) == 0);
    assert(counts.polls <= 1 + 20); /* each sleep wakes its task once */
}

/* ---- order ------------------------------------------------------------------------- */

static struct sleep sleeps[MANY];
static int started, woken, order[MANY];

BODY(sleep_and_note)
{
    long done;
    ASYNC_BEGIN(stage);
    self->i = started++;
    AWAIT(done, self->sleep, sleeps[self->i]);
    assert(now_us() >= self->sleep.deadline * 1000);
    order[woken++] = self->i;
    ASYNC_END(done);
}

BODY(five_alike)
{
    long done;
    ASYNC_BEGIN(stage);
    for (self->i = 0; self->i < 5; self->i++) {
        sleeps[self->i] = self->i == 0 ? sleep_for(20) : sleeps[0];
        self->join = start(sleep_and_note, NULL);
        task_detach(&self->join);
    }
    AWAIT(done, self->others_gone, others_gone());
    ASYNC_END(done);
}

TEST(equal_sleeps_end_in_their_order)
{
    assert(run(five_alike) == 0);
    for (int i = 0; i < 5; i++)
        assert(order[i] == i);
}

BODY(very_many)
{
    long done;
    ASYNC_BEGIN(stage);
    for (self->i = 0; self->i < MANY; self->i++) {
        sleeps[self->i] = sleep_for(self->i * 7919L % 50);
        self->join = start(sleep_and_note, NULL);
        task_detach(&self->join);
    }
    AWAIT(done, self->others_gone, others_gone());
    ASYNC_END(done);
}

TEST(ten_thousand_sleeps_each_ends_once)
{
    static bool seen[MANY];
    assert(run(very_many) == 0);
    assert(woken == MANY);
    for (int i = 0; i < MANY; i++) {
        assert(!seen[order[i]]);
        seen[order[i]] = true;
    }
}

BODY(half_of_many_cancelled)
{
    static struct join joins[1000];
    long done;
    ASYNC_BEGIN(stage);
    for (self->i = 0; self->i < 1000; self->i++) {
        sleeps[self->i] = sleep_for(200 + self->i * 7919L % 20);
        joins[self->i] = start(sleep_and_note, &counts);
    }
    TURN();
    for (self->i = 0; self->i < 1000; self->i++) {
        if (self->i % 2 == 0)
            task_cancel(&joins[self->i]);
        task_detach(&joins[self->i]);
    }
    AWAIT(done, self->others_gone, others_gone());
    ASYNC_END(done);
}

TEST(half_of_a_thousand_sleeps_cancelled)
{
    assert(run(half_of_many_cancelled) == 0);
    assert(woken == 500 && counts.drops == 1000);
    for (int i = 0; i < woken; i++)
        assert(order[i] % 2 == 1);
}

/* ---- earlier, cancelled, for ever -------------------------------------------------- */

BODY(sleep_long)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->sleep, sleep_for(15000));
    ASYNC_END(done);
}

static struct tcp_stream stream;

static void *write_later(void *other)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    ssize_t sent = write(*(int *)other, "x", 1);
    assert(sent == 1);
    return other;
}

BODY(earlier_one)
{
    static int other;
    pthread_t writer;
    long done;
    int error;
    ASYNC_BEGIN(stage);
    self->join = start(sleep_long, &counts);
    stream = open_stream(&other);
    error = pthread_create(&writer, NULL, write_later, &other);
    assert(error == 0);
    (void)pthread_detach(writer);
    AWAIT(done, self->readable, tcp_readable(&stream)); /* the thread sleeps for 15 s */
    AWAIT(done, self->sleep, sleep_for(10));
    task_detach(&self->join);
    tcp_close(&stream);
    ASYNC_END(done);
}

TEST(an_earlier_sleep_set_while_the_thread_slept)
{
    began = now_us();
    assert(run(earlier_one) == 0);
    assert(now_us() - began >= 29000 && now_us() - began < 5000000);
    assert(counts.polls == 1 && counts.drops == 1);
}

BODY(cancel_it)
{
    long done;
    ASYNC_BEGIN(stage);
    sleeps[0] = sleep_for(5);
    self->join = start(sleep_and_note, &counts);
    TURN();
    task_cancel(&self->join);
    AWAIT(done, self->sleep, sleep_for(20));
    task_detach(&self->join);
    ASYNC_END(done);
}

TEST(a_cancelled_sleep_wakes_nobody)
{
    assert(run(cancel_it) == 0);
    assert(woken == 0 && counts.polls == 1 && counts.drops == 1);
}

static int64_t longest;

BODY(for_ever)
{
    long done;
    ASYNC_BEGIN(stage);
    sleeps[0] = sleep_for(longest);
    self->join = start(sleep_and_note, &counts);
    AWAIT(done, self->sleep, sleep_for(10));
    self->notified = notified(&never);
    AWAIT(done, self->timeout, timeout(&self->notified.future, 10));
    task_detach(&self->join);
    ASYNC_END(done);
}

static void never_ends(int64_t ms)
{
    longest = ms;
    began = now_us();
    assert(run(for_ever) == -ETIMEDOUT);
    assert(now_us() - began >= 20000);
    assert(woken == 0 && counts.polls == 1 && counts.drops == 1);
}

TEST(sleep_for_ever)
{
    never_ends(FOREVER);
}

TEST(sleep_for_almost_ever)
{
    never_ends(FOREVER - 1);
}

TEST(sleep_for_more_than_an_int)
{
    never_ends((int64_t)INT32_MAX + 1);
}

/* ---- timeout ----------------------------------------------------------------------- */

BODY(in_time)
{
    long done;
    ASYNC_BEGIN(stage);
    self->probe = probe(&counts);
    AWAIT(done, self->timeout, timeout(&self->probe.future, 0));
    assert(counts.drops == 1);
    ASYNC_END(done);
}

TEST(timeout_of_what_is_ready_even_with_no_time)
{
    counts.on_poll = ready_at_once;
    assert(run(in_time) == 7);
}

TEST(timeout_of_what_is_not_ready)
{
    assert(run(in_time) == -ETIMEDOUT);
    assert(counts.polls == 1 && counts.drops == 1);
}

static int64_t inner_ms, outer_ms;

BODY(one_in_the_other)
{
    long done;
    ASYNC_BEGIN(stage);
    self->probe = probe(&counts);
    self->timeout = timeout(&self->probe.future, inner_ms);
    AWAIT(done, self->outer, timeout(&self->timeout.future, outer_ms));
    assert(counts.drops == 1);
    AWAIT(done, self->sleep, sleep_for(30)); /* the longer one is over: nothing comes */
    ASYNC_END(counts.polls);
}

TEST(nested_timeouts_the_inner_one_is_over_first)
{
    inner_ms = 5;
    outer_ms = 20;
    assert(run(one_in_the_other) <= 2);
    assert(counts.drops == 1);
}

TEST(nested_timeouts_the_outer_one_is_over_first)
{
    inner_ms = 20;
    outer_ms = 5;
    assert(run(one_in_the_other) <= 2);
    assert(counts.drops == 1);
}

TEST(nested_timeouts_that_never_end_cost_nothing)
{
    inner_ms = 5;
    outer_ms = FOREVER;
    assert(run(one_in_the_other) <= 2);
    assert(counts.drops == 1);
}
