/* tasks.c: wake, join, cancel, drop; and tasks that wait for each other. See unit.h. */
#include "unit.h"

#include <errno.h>

enum { MANY = 100, DEEP = 200000 };
static struct counts many[DEEP];

static void spawn_detached(struct counts *counts)
{
    start(NULL, probe, probe(counts));
}

/* ---- woken: before, during and after ----------------------------------------------- */

static long wake_self_in_first_poll(struct counts *its, struct waker *waker)
{
    for (int i = 0; i < 1000 && its->polls == 1; i++)
        waker->wake(waker);
    return PENDING;
}

TEST(a_task_woken_a_thousand_times_in_its_poll_or_before_is_polled_once_more)
{
    one.on_poll = wake_self_in_first_poll;
    spawn_probe(&one);
    turns(2);
    check(one.polls == 2);
    for (int i = 0; i < 1000; i++)
        wake(&one);
    turns(2);
    check(one.polls == 3);
}

TEST(a_task_woken_or_cancelled_after_its_end_keeps_its_number)
{
    one.on_poll = ready;
    spawn_probe(&one);
    wake(&one);
    task_cancel(&one.handle);
    turn();
    check(one.polls == 1 && one.drops == 1);
    check(join(&one.handle) == 7);
    task_cancel(&one.handle); /* the handle has been used: nothing happens */
}

/* It is in the queue, and done. */
ON_POLL(wake_self_and_end, waker->wake(waker); return 7)

TEST(a_task_that_wakes_itself_and_ends_is_freed_once)
{
    one.on_poll = two.on_poll = wake_self_and_end;
    spawn_detached(&one);
    spawn_probe(&two);
    future_drop(&two.handle.future);
    turn();
    check(one.polls == 1 && one.drops == 1 && two.polls == 1 && two.drops == 1);
}

static int order[6], noted;

static long note_turn(struct counts *its, struct waker *waker)
{
    order[noted++] = (int)(its - many);
    waker->wake(waker);
    return noted == 6 ? 0 : PENDING;
}

TEST(tasks_take_turns_in_the_order_in_which_they_were_woken)
{
    for (int i = 0; i < 3; i++) {
        many[i].on_poll = note_turn;
        spawn_detached(&many[i]);
    }
    turn();
    check(noted == 3);
    turn();
    for (int i = 0; i < 6; i++)
        check(order[i] == i % 3);
}

/* ---- the handle -------------------------------------------------------------------- */

TEST(spawn_without_memory_drops_the_future)
{
    struct probe lost = probe(&one);

    allocations_left = 0;
    check(spawn_joinable(lost, &one.handle) == -ENOMEM);
    check(one.drops == 1);
    task_cancel(&one.handle); /* an empty handle: nothing happens */
}

TEST(a_timeout_around_join_detaches_the_task)
{
    spawn_probe(&one);
    check(await(timeout, timeout(&one.handle.future, 1)) == TIMED_OUT);
    turn();
    check(one.drops == 0);
    wake(&one);
    turn();
    check(one.polls == 2);
}

TEST(a_handle_that_cancels_ends_its_task_when_it_is_dropped)
{
    spawn_probe(&one);
    one.handle.cancels = true;
    check(await(timeout, timeout(&one.handle.future, 1)) == TIMED_OUT);
    turn();
    check(one.polls == 1 && one.drops == 1);
}

/* ---- cancel: who cancels whom, and when -------------------------------------------- */

TEST(a_task_cancelled_twice_before_its_first_turn_is_never_polled)
{
    start(&one.handle, probe, probe(&one));
    task_cancel(&one.handle);
    task_cancel(&one.handle);
    check(join(&one.handle) == CANCELLED);
    check(one.polls == 0 && one.drops == 1);
}

ON_POLL(cancel_one, task_cancel(&one.handle); return PENDING)

TEST(a_task_cancels_itself)
{
    one.on_poll = cancel_one;
    spawn_probe(&one);
    check(one.drops == 0); /* not in the middle of its poll */
    check(join(&one.handle) == CANCELLED);
    check(one.polls == 1 && one.drops == 1);
}

static void cancel_two_and_drop_own_handle(struct counts *its)
{
    cancel(&two.handle);
    future_drop(&its->handle.future);
}

ON_POLL(spawn_two, start(&two.handle, probe, probe(&two)); return PENDING)

TEST(a_child_cancels_its_parent_whose_drop_cancels_the_child)
{
    one.on_poll = spawn_two;
    one.on_drop = cancel_two_and_drop_own_handle;
    two.on_poll = cancel_one;
    spawn_probe(&one);
    turns(3);
    check(one.polls == 1 && two.polls == 1 && one.drops == 1 && two.drops == 1);
}

/* ---- the end: who drops what, and how often ---------------------------------------- */

static void spawn_next(struct counts *its)
{
    if (its < &many[MANY - 1])
        spawn_detached(its + 1);
}

TEST(a_hundred_tasks_that_are_left_or_spawned_by_a_drop_are_each_dropped_once)
{
    for (int i = 0; i < MANY / 2; i++)
        spawn_detached(&many[i]);
    turn();
    for (int i = 0; i < MANY / 2; i += 2)
        wake(&many[i]); /* half of them are in the queue */
    for (int i = MANY / 2 - 1; i < MANY; i++)
        many[i].on_drop = spawn_next;
    runtime_close();
    for (int i = 0; i < MANY; i++)
        check(many[i].drops == 1);
    check(runtime_open() == 0);
}

static void cancel_next(struct counts *its)
{
    if (its < &many[DEEP - 1])
        cancel(&its[1].handle);
}

TEST(a_drop_that_ends_the_next_task_two_hundred_thousand_deep_does_not_recurse)
{
    for (int i = 0; i < DEEP; i++) {
        many[i].on_drop = cancel_next;
        start(&many[i].handle, probe, probe(&many[i]));
    }
    cancel(&many[0].handle);
    while (many[DEEP - 1].drops == 0)
        turn();
}

/* ---- notify, semaphore ------------------------------------------------------------- */

static struct semaphore semaphore;
static struct join waiting[4];

TEST(a_notification_that_nobody_waits_for_is_kept_and_two_are_one)
{
    struct notify notify = {0};

    notify_all(&notify);
    notify_all(&notify);
    check(await(notified, notified(&notify)) == 0);
    struct notified third = notified(&notify);
    check(await(timeout, timeout(&third.future, 1)) == TIMED_OUT);
}

static void acquire_all(int permits)
{
    semaphore.permits = permits;
    for (int i = 0; i < 4; i++)
        start(&waiting[i], semaphore_acquire, semaphore_acquire(&semaphore));
    turn();
}

TEST(a_semaphore_lets_so_many_go_on_and_the_next_wait_in_their_order)
{
    acquire_all(2);
    check(join(&waiting[0]) == 0 && join(&waiting[1]) == 0 && semaphore.permits == 0);
    for (int i = 2; i < 4; i++) {
        semaphore_release(&semaphore);
        check(join(&waiting[i]) == 0 && semaphore.permits == 0);
    }
    semaphore_release(&semaphore);
    check(semaphore.permits == 1);
}

TEST(a_permit_that_was_given_to_a_task_which_is_cancelled_goes_to_the_next)
{
    acquire_all(0);
    semaphore_release(&semaphore);
    cancel(&waiting[0]); /* woken, and dropped before its turn */
    check(join(&waiting[1]) == 0);
    check(semaphore.permits == 0);
    cancel(&waiting[3]); /* the last to come, and a new one behind the one before it */
    start(&waiting[3], semaphore_acquire, semaphore_acquire(&semaphore));
    turns(2);
    semaphore_release(&semaphore);
    check(join(&waiting[2]) == 0);
    semaphore_release(&semaphore);
    check(join(&waiting[3]) == 0);
}
