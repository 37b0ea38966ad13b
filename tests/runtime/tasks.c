/* tasks.c: wake, join, cancel, drop. See unit.h. */
#include "unit.h"

static struct counts one, two, many[100];

static void spawn_one(void)
{
    start(&one.handle, probe, probe(&one));
    turn();
}

static void spawn_detached(struct counts *counts)
{
    start(NULL, probe, probe(counts));
}

/* ---- woken: before, during and after ----------------------------------------------- */

TEST(a_task_woken_twice_before_its_turn_is_polled_once)
{
    spawn_one();
    wake(&one);
    wake(&one);
    turn();
    turn();
    check(one.polls == 2);
    detach(&one.handle);
}

static long wake_self_once(struct counts *its, struct waker *waker)
{
    for (int i = 0; i < 1000 && its->polls == 1; i++)
        waker->wake(waker);
    return PENDING;
}

TEST(a_task_woken_a_thousand_times_in_its_poll_is_polled_once_more)
{
    one.on_poll = wake_self_once;
    spawn_one();
    turn();
    turn();
    check(one.polls == 2);
    detach(&one.handle);
}

TEST(a_task_woken_after_its_end_is_not_polled)
{
    one.on_poll = ready;
    spawn_one();
    check(one.polls == 1 && one.drops == 1);
    wake(&one);
    turn();
    check(one.polls == 1 && one.drops == 1);
    check(join(&one.handle) == 7);
}

static long wake_self_and_end(struct counts *its, struct waker *waker)
{
    (void)its;
    waker->wake(waker); /* it is in the queue, and done */
    return 7;
}

TEST(a_task_that_wakes_itself_and_ends_is_freed_once)
{
    one.on_poll = two.on_poll = wake_self_and_end;
    spawn_detached(&one);
    start(&two.handle, probe, probe(&two));
    turn();
    future_drop(&two.handle.future);
    turn();
    check(one.polls == 1 && one.drops == 1 && two.polls == 1 && two.drops == 1);
}

/* ---- join -------------------------------------------------------------------------- */

static long ready_when_woken(struct counts *its, struct waker *waker)
{
    (void)waker;
    return its->polls > 1 ? 42 : PENDING;
}

TEST(a_task_cancelled_after_its_end_keeps_its_number)
{
    one.on_poll = ready;
    spawn_one();
    task_cancel(&one.handle);
    turn();
    check(join(&one.handle) == 7);
}

TEST(a_task_is_cancelled_twice_and_dropped_once)
{
    spawn_one();
    task_cancel(&one.handle);
    task_cancel(&one.handle);
    turn();
    task_cancel(&one.handle);
    check(join(&one.handle) == CANCELLED);
    task_cancel(&one.handle); /* the handle has been used: nothing happens */
    check(one.drops == 1);
}

TEST(a_task_whose_handle_is_dropped_goes_on)
{
    one.on_poll = ready_when_woken;
    spawn_one();
    future_drop(&one.handle.future);
    check(one.drops == 0);
    wake(&one);
    turn();
    check(one.polls == 2 && one.drops == 1);
}

TEST(a_timeout_around_join_detaches_the_task)
{
    spawn_one();
    check(await(timeout, timeout(&one.handle.future, 2)) == TIMED_OUT);
    turn();
    check(one.drops == 0);
}

TEST(a_handle_that_cancels_ends_its_task_when_it_is_dropped)
{
    spawn_one();
    one.handle.cancels = true;
    check(await(timeout, timeout(&one.handle.future, 2)) == TIMED_OUT);
    turn();
    check(one.polls == 1 && one.drops == 1);
}

/* ---- cancel: who cancels whom, and when -------------------------------------------- */

static long cancel_self(struct counts *its, struct waker *waker)
{
    (void)waker;
    task_cancel(&its->handle);
    return PENDING;
}

static void drop_own_handle(struct counts *its)
{
    future_drop(&its->handle.future);
}

static void cancel_other(struct counts *its)
{
    cancel(its == &one ? &two.handle : &one.handle);
}

static void cancel_other_and_drop_own_handle(struct counts *its)
{
    cancel_other(its);
    drop_own_handle(its);
}

TEST(a_task_cancelled_before_its_first_turn_is_never_polled)
{
    start(&one.handle, probe, probe(&one));
    cancel(&one.handle);
    turn();
    check(one.polls == 0 && one.drops == 1);
}

TEST(a_task_cancels_itself)
{
    one.on_poll = cancel_self;
    spawn_one();
    check(one.drops == 0); /* not in the middle of its poll */
    check(join(&one.handle) == CANCELLED);
    check(one.polls == 1 && one.drops == 1);
}

static long cancel_the_parent(struct counts *its, struct waker *waker)
{
    (void)its, (void)waker;
    task_cancel(&one.handle);
    return PENDING;
}

static long spawn_a_child(struct counts *its, struct waker *waker)
{
    (void)waker;
    if (its->polls == 1)
        start(&two.handle, probe, probe(&two));
    return PENDING;
}

TEST(a_child_cancels_its_parent_whose_drop_cancels_the_child)
{
    one.on_poll = spawn_a_child;
    one.on_drop = cancel_other_and_drop_own_handle;
    two.on_poll = cancel_the_parent;
    spawn_one();
    turn();
    turn();
    turn();
    check(one.drops == 1 && two.drops == 1);
    check(one.polls == 1 && two.polls == 1);
}

TEST(two_tasks_whose_drops_cancel_each_other_are_each_dropped_once)
{
    one.on_drop = two.on_drop = cancel_other;
    start(&one.handle, probe, probe(&one));
    start(&two.handle, probe, probe(&two));
    turn();
    task_cancel(&one.handle);
    turn();
    turn();
    check(one.drops == 1 && two.drops == 1);
}

/* ---- the end: who drops what, and how often ---------------------------------------- */

static void check_dropped_at_close(void)
{
    runtime_close();
    for (int i = 0; i < 100; i++)
        check(many[i].drops == 1);
    check(runtime_open() == 0);
}

TEST(a_hundred_tasks_that_are_left_are_each_dropped_once)
{
    for (int i = 0; i < 100; i++)
        spawn_detached(&many[i]);
    turn();
    for (int i = 0; i < 100; i += 2)
        wake(&many[i]); /* half of them are in the queue */
    check_dropped_at_close();
}

static void spawn_next(struct counts *its)
{
    if (its < &many[99])
        spawn_detached(its + 1);
}

TEST(a_task_that_is_spawned_by_a_drop_at_the_end_is_dropped_too)
{
    for (int i = 0; i < 100; i++)
        many[i].on_drop = spawn_next;
    spawn_detached(&many[0]);
    turn();
    check_dropped_at_close();
}

/* Each task holds the handle of the next, and cancels it when it is dropped. */
struct link {
    struct future future;
    struct join next;
};
static long links_dropped;

static long link_poll(struct future *future, struct waker *waker)
{
    (void)future, (void)waker_keep(waker);
    return PENDING;
}

static void link_drop(struct future *future)
{
    links_dropped++;
    cancel(&((struct link *)future)->next);
}

TEST(a_drop_that_ends_the_next_task_two_hundred_thousand_deep_does_not_recurse)
{
    static const struct future_vtable vtable = {link_poll, link_drop};
    struct join head = {.future = {NULL}};

    for (int i = 0; i < 200000; i++) {
        struct link link = {{&vtable}, head};
        check(spawn_joinable(link, &head) == 0);
    }
    cancel(&head);
    while (links_dropped < 200000)
        turn();
}

TEST(spawn_without_memory_drops_the_future)
{
    allocations_left = 0;
    struct probe lost = probe(&one);
    check(spawn_joinable(lost, &one.handle) == -ENOMEM);
    check(one.drops == 1);
    task_cancel(&one.handle);
    future_drop(&one.handle.future); /* an empty handle: nothing happens */
}

/* ---- turns ------------------------------------------------------------------------- */

static int order[6], turns;

static long note_turn(struct counts *its, struct waker *waker)
{
    order[turns++] = (int)(its - many);
    waker->wake(waker);
    return turns == 6 ? 0 : PENDING;
}

TEST(tasks_take_turns_in_the_order_in_which_they_were_woken)
{
    for (int i = 0; i < 3; i++) {
        many[i].on_poll = note_turn;
        spawn_detached(&many[i]);
    }
    turn();
    check(turns == 3);
    turn();
    for (int i = 0; i < 6; i++)
        check(order[i] == i % 3);
}
