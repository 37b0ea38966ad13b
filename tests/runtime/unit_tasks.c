/* unit_tasks.c: join, cancel, detach, race, and the end of block_on(). */
#define _GNU_SOURCE
#include "unit.h"

#include <sys/resource.h>

static struct counts counts, others[100];
static struct join handle;

#define TURN() AWAIT(done, self->yield, yield_now())

/* ---- join -------------------------------------------------------------------------- */

BODY(three_turns)
{
    long done;
    ASYNC_BEGIN(stage);
    for (self->i = 0; self->i < 3; self->i++)
        TURN();
    ASYNC_END(42);
}

BODY(join_before_its_end)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(three_turns, &counts);
    AWAIT(done, self->waiting, self->join);
    assert(counts.polls == 4 && counts.drops == 1);
    ASYNC_END(done);
}

TEST(join_before_the_end)
{
    assert(run(join_before_its_end) == 42);
}

BODY(join_after_its_end)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    TURN();
    TURN();
    assert(counts.drops == 1);
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(join_after_the_end)
{
    counts.on_poll = ready_at_once;
    assert(run(join_after_its_end) == 7);
}

BODY(join_of_cancelled)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    TURN();
    task_cancel(&self->join);
    assert(counts.drops == 1);
    task_cancel(&self->join); /* again: it stays as it is */
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(join_of_a_cancelled_task)
{
    assert(run(join_of_cancelled) == -ECANCELED);
    assert(counts.polls == 1 && counts.drops == 1);
}

BODY(wait_for_handle)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->waiting, handle);
    ASYNC_END(done);
}

BODY(cancel_what_another_joins)
{
    long done;
    ASYNC_BEGIN(stage);
    handle = start_probe(&counts);
    self->join = start(wait_for_handle, NULL);
    TURN();
    task_cancel(&handle);
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(who_waits_for_a_cancelled_task_is_told)
{
    assert(run(cancel_what_another_joins) == -ECANCELED);
    assert(counts.drops == 1);
}

BODY(cancel_after_end)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    TURN();
    task_cancel(&self->join);
    AWAIT(done, self->waiting, self->join);
    ASYNC_END(done);
}

TEST(cancelled_after_the_end_keeps_its_number)
{
    counts.on_poll = ready_at_once;
    assert(run(cancel_after_end) == 7);
    assert(counts.drops == 1);
}

BODY(detach_it)
{
    long done;
    bool there;
    ASYNC_BEGIN(stage);
    self->join = start(three_turns, &counts);
    there = task_detach(&self->join);
    assert(there);
    for (self->i = 0; self->i < 5; self->i++)
        TURN();
    assert(counts.polls == 4 && counts.drops == 1);
    ASYNC_END(done);
}

TEST(a_detached_task_goes_on_alone)
{
    assert(run(detach_it) == 0);
}

/* ---- cancel ------------------------------------------------------------------------ */

static struct poll cancel_self(struct counts *its, struct waker *waker)
{
    (void)waker;
    task_cancel(&handle);
    assert(its->drops == 0); /* not while it is polled */
    return PENDING;
}

BODY(it_cancels_itself)
{
    long done;
    ASYNC_BEGIN(stage);
    handle = start_probe(&counts);
    AWAIT(done, self->waiting, handle);
    ASYNC_END(done);
}

TEST(a_task_that_cancels_itself)
{
    counts.on_poll = cancel_self;
    assert(run(it_cancels_itself) == -ECANCELED);
    assert(counts.polls == 1 && counts.drops == 1);
}

static struct poll cancel_self_and_let_go(struct counts *its, struct waker *waker)
{
    waker->wake(waker);
    task_cancel(&handle);
    task_detach(&handle);
    assert(its->drops == 0);
    return PENDING;
}

BODY(it_cancels_itself_detached)
{
    long done;
    ASYNC_BEGIN(stage);
    handle = start_probe(&counts);
    TURN();
    TURN();
    ASYNC_END(done);
}

TEST(a_task_that_cancels_itself_in_line_and_let_go)
{
    counts.on_poll = cancel_self_and_let_go;
    assert(run(it_cancels_itself_detached) == 0);
    assert(counts.polls == 1 && counts.drops == 1);
}

BODY(cancel_in_line)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    self->other_join = start_probe(&others[0]);
    task_cancel(&self->join); /* both stand in line, unpolled */
    task_detach(&self->join);
    assert(counts.drops == 1);
    TURN();
    assert(counts.polls == 0 && others[0].polls == 1); /* the line is not broken */
    others[0].waker->wake(others[0].waker);
    task_cancel(&self->other_join);
    TURN();
    assert(others[0].polls == 1 && others[0].drops == 1);
    task_detach(&self->other_join);
    ASYNC_END(done);
}

TEST(cancelled_while_it_stands_in_line)
{
    assert(run(cancel_in_line) == 0);
    assert(counts.polls == 0 && counts.drops == 1);
}

static void let_go_of_handle(void)
{
    task_detach(&handle);
}

BODY(cancel_who_lets_go)
{
    long done;
    ASYNC_BEGIN(stage);
    handle = start_probe(&counts);
    TURN();
    task_cancel(&handle);
    TURN();
    ASYNC_END(done);
}

TEST(cancelled_and_its_drop_lets_go_of_its_own_handle)
{
    counts.on_drop = let_go_of_handle;
    assert(run(cancel_who_lets_go) == 0);
    assert(counts.drops == 1);
}

TEST(left_over_and_its_drop_lets_go_of_its_own_handle)
{
    counts.on_drop = let_go_of_handle;
    assert(run(it_cancels_itself_detached) == 0);
    assert(counts.polls == 1 && counts.drops == 1);
}

/* ---- race -------------------------------------------------------------------------- */

BODY(two_runners)
{
    long done;
    ASYNC_BEGIN(stage);
    self->probe = probe(&counts);
    self->other_probe = probe(&others[0]);
    AWAIT(done, self->race, race(&self->probe.future, &self->other_probe.future));
    assert(counts.drops == 1 && others[0].drops == 1);
    ASYNC_END(done * 100 + self->race.value);
}

TEST(race_of_two_that_are_ready)
{
    counts.on_poll = others[0].on_poll = ready_at_once;
    assert(run(two_runners) == 7);
    assert(counts.drops == 1 && others[0].drops == 1);
}

TEST(race_won_by_the_second)
{
    others[0].on_poll = ready_at_once;
    assert(run(two_runners) == 107);
    assert(counts.polls == 1 && counts.drops == 1 && others[0].drops == 1);
}

/* ---- the end of all ---------------------------------------------------------------- */

BODY(leave_a_hundred)
{
    long done;
    ASYNC_BEGIN(stage);
    for (self->i = 0; self->i < 100; self->i++) {
        self->join = start_probe(&others[self->i]);
        task_detach(&self->join);
        if (self->i == 49)
            TURN(); /* half of them are polled once, the others never */
    }
    ASYNC_END(5);
}

TEST(a_hundred_pending_tasks_are_dropped_at_the_end)
{
    assert(run(leave_a_hundred) == 5);
    for (int i = 0; i < 100; i++)
        assert(others[i].drops == 1 && others[i].polls == (i < 50));
}

static void spawn_in_drop(void)
{
    struct join join = start_probe(&others[0]);
    task_detach(&join);
}

TEST(a_task_spawned_by_a_drop_at_the_end_is_dropped_too)
{
    counts.on_drop = spawn_in_drop;
    assert(run(it_cancels_itself_detached) == 0);
    assert(counts.drops == 1 && others[0].polls == 0 && others[0].drops == 1);
    task_detach(&handle);
}

BODY(wait_for_the_others)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(three_turns, &others[0]);
    task_detach(&self->join);
    self->join = start(three_turns, &others[1]);
    AWAIT(done, self->others_gone, others_gone());
    assert(others[0].drops == 1 && others[1].drops == 1);
    task_detach(&self->join);
    AWAIT(done, self->others_gone, others_gone());
    ASYNC_END(done);
}

TEST(others_gone_waits_for_all_others)
{
    assert(run(wait_for_the_others) == 0);
}

/* ---- shortages --------------------------------------------------------------------- */

BODY(spawn_without_memory)
{
    long done;
    bool there;
    ASYNC_BEGIN(stage);
    allocations_left = 0;
    self->join = start_probe(&counts);
    assert(counts.polls == 0 && counts.drops == 1);
    AWAIT(done, self->waiting, self->join);
    allocations_left = 0;
    self->join = start_probe(&counts);
    task_cancel(&self->join);
    there = task_detach(&self->join);
    assert(!there && counts.drops == 2);
    ASYNC_END(done);
}

TEST(spawn_without_memory_drops_the_future)
{
    assert(run(spawn_without_memory) == -ENOMEM);
}

TEST(block_on_without_memory_drops_the_future)
{
    struct probe root;
    long result = -ENOMEM;
    int tries = 0;

    counts.on_poll = ready_at_once;
    for (; result != 7; tries++) {
        assert(result == -ENOMEM && tries < 20);
        allocations_left = tries;
        root = probe(&counts);
        result = block_on(root);
        assert(counts.drops == tries + 1);
    }
    assert(tries > 1 && counts.polls == 1);
}

TEST(block_on_without_descriptors_drops_the_future)
{
    struct rlimit limit, none;
    struct probe root = probe(&counts);
    int error = getrlimit(RLIMIT_NOFILE, &limit);
    assert(error == 0);
    none = (struct rlimit){0, limit.rlim_max};
    error = setrlimit(RLIMIT_NOFILE, &none);
    assert(error == 0);
    assert(block_on(root) == -EMFILE);
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* the sanitizer wants some, too */
    assert(counts.polls == 0 && counts.drops == 1);
}
