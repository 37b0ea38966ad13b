/* time.c: sleep, timeout, the budget. See unit.h.
 *
 * pass() moves the clock; nothing here waits long, and a slow machine changes nothing.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"

static char buffer[1 << 20];

/* ---- sleep ------------------------------------------------------------------------- */

TEST(a_sleep_of_nothing_and_one_of_less_are_ready_at_once)
{
    struct sleep zero = sleep_for(0), less = sleep_for(-5);

    check(poll_by_hand(zero) == 0 && poll_by_hand(less) == 0);
    check(timer_count == 0);
}

TEST(a_sleep_is_never_too_short)
{
    struct timespec begin, end;

    for (int ms = 1; ms <= 5; ms++) {
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        check(await(sleep, sleep_for(ms)) == 0);
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        check((end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec >=
              ms * 1000000L);
    }
}

TEST(a_sleep_is_counted_from_the_call_and_not_from_the_first_poll)
{
    struct sleep sleep = sleep_for(1000);

    pass(1001);
    check(poll_by_hand(sleep) == PENDING); /* the loop ends it */
    turn();
    check(poll_by_hand(sleep) == 0);
}

TEST(a_sleep_for_ever_costs_no_timer_and_does_not_end)
{
    for (int i = 0; i < 2; i++) {
        struct sleep sleep = sleep_for(FOREVER - i);
        check(poll_by_hand(sleep) == PENDING);
        check(timer_count == 0);
        pass(1000L * 1000 * 1000 * 1000);
        turn();
        check(bell.rung == 0);
        future_drop(&sleep.future);
    }
}

TEST(a_sleep_longer_than_epoll_can_wait_is_asked_for_in_parts)
{
    struct sleep sleep = sleep_for(INT32_MAX + 1000L);

    check(poll_by_hand(sleep) == PENDING);
    check(timers_wait_ms(clock_ms()) == INT32_MAX);
    pass(INT32_MAX);
    turn();
    check(bell.rung == 0 && timers_wait_ms(clock_ms()) > 0);
    pass(1001);
    turn();
    check(bell.rung == 1);
}

enum { MANY = 100000 };
static struct sleep sleeps[MANY];
static struct bell bells[MANY];

static void begin_sleeps(int count, int64_t shortest)
{
    for (int i = 0; i < count; i++) {
        bells[i] = (struct bell){.waker = {ring}};
        sleeps[i] = sleep_for(shortest + (int64_t)i * 7919 % 10000 * 100);
        check(future_poll(&sleeps[i].future, &bells[i].waker) == PENDING);
    }
}

TEST(of_ten_thousand_sleeps_each_ends_once_and_none_before_its_time_or_dropped)
{
    begin_sleeps(10000, 1000);
    for (int i = 0; i < 10000; i += 2)
        future_drop(&sleeps[i * 7 % 10000 / 2 * 2].future);
    for (int64_t begin = clock_ms(), now; (now = clock_ms()) - begin < 1100000;) {
        for (int i = 0; i < 10000; i++)
            check(bells[i].rung == 0 || sleeps[i].deadline <= now);
        pass(50000);
        turn();
    }
    for (int i = 0; i < 10000; i++)
        check(bells[i].rung == (sleeps[i].future.vtable != NULL));
    check(timer_count == 0);
}

TEST(a_short_sleep_begun_after_a_long_one_ends_first)
{
    start(NULL, sleep, sleep_for(50000));
    turn();
    check(await(sleep, sleep_for(1)) == 0);
}

/* CPU time: the quadratic way took 50 times as long as this allows. */
TEST(a_hundred_thousand_long_sleeps_are_dropped_in_no_time)
{
    begin_sleeps(MANY, 100000000);
    for (int i = 0; i < MANY; i++)
        future_drop(&sleeps[i].future);
    check(clock() < 2 * CLOCKS_PER_SEC);
}

/* ---- timeout ----------------------------------------------------------------------- */

ON_POLL(kernel_timed_out, return -ETIMEDOUT)

TEST(our_time_out_is_not_the_kernels_etimedout)
{
    struct probe theirs = probe(&one), ours = probe(&two);

    one.on_poll = kernel_timed_out;
    check(await(timeout, timeout(&theirs.future, 1000)) == -ETIMEDOUT);
    long number = await(timeout, timeout(&ours.future, 1));
    check(number == TIMED_OUT && number < -4095); /* no errno is that large */
    check(two.polls >= 1 && two.drops == 1);
}

TEST(a_limit_ends_work_that_uses_up_every_turn)
{
    struct probe busy = probe(&one);
    struct timeout limit = timeout(&busy.future, 100);

    one.on_poll = use_up;
    start(&two.handle, timeout, limit);
    turn();
    pass(101);
    turns(3);
    check(one.drops == 1 && join(&two.handle) == TIMED_OUT);
}

/* What arrived while the process was stopped counts more than the limit. */
TEST(a_limit_that_ran_out_while_the_process_was_stopped_looks_once_more)
{
    pair_open();
    struct tcp_read read = tcp_read(&pair.stream, buffer, 3);
    start(&one.handle, timeout, timeout(&read.future, 1000));
    turns(2);
    say("now");
    pass(5000);
    check(join(&one.handle) == 3);
}

/* ---- the budget -------------------------------------------------------------------- */

static size_t asked;
static long most_moved, most_calls; /* in any turn */

static long read_all(struct counts *its, struct waker *waker)
{
    static struct tcp_read read;
    long number = 1, moved = 0, calls = 0;

    (void)its;
    for (; number > 0; calls++) {
        if (read.future.vtable == NULL)
            read = tcp_read(&pair.stream, buffer, asked);
        number = future_poll(&read.future, waker);
        moved += number > 0 ? number : 0;
    }
    most_moved = moved > most_moved ? moved : most_moved;
    most_calls = calls > most_calls ? calls : most_calls;
    return number;
}

static void flood(int sends, size_t a_read)
{
    pair_open();
    asked = a_read;
    while (sends-- > 0)
        check(send(pair.other, buffer, 4096, 0) == 4096);
    (void)shutdown(pair.other, SHUT_WR);
    one.on_poll = read_all;
    spawn_probe(&one);
    check(join(&one.handle) == 0);
}

TEST(a_turn_moves_no_more_bytes_than_the_budget_and_one_read)
{
    flood(24, 16 * 1024);
    check(most_moved >= 16 * 1024 && most_moved <= COOP_BUDGET + 16 * 1024);
}

TEST(a_turn_makes_no_more_calls_than_the_budget_has_room_for)
{
    flood(1, 4);
    check(most_calls > 1 && most_calls <= COOP_BUDGET / COOP_CALL + 1);
}

TEST(what_was_read_can_be_sent_in_the_same_turn)
{
    pair_open();
    turn();
    coop_budget = COOP_CALL; /* a read has used all but this */
    struct tcp_write_all write = tcp_write_all(&pair.stream, buffer, 30000);
    check(poll_by_hand(write) == 0 && bell.rung == 0);
    coop_budget -= COOP_BUDGET;
    write = tcp_write_all(&pair.stream, buffer, 1);
    check(poll_by_hand(write) == PENDING && bell.rung == 1);
    future_drop(&write.future);
}

static long sleep_again(struct counts *its, struct waker *waker)
{
    (void)its;
    while (future_poll(&((struct sleep[1]){sleep_for(0)})->future, waker) != PENDING)
        continue;
    return PENDING;
}

TEST(beside_tasks_that_never_wait_an_echo_is_answered)
{
    struct join reader;

    pair_open();
    one.on_poll = sleep_again;
    two.on_poll = again;
    spawn_probe(&one);
    spawn_probe(&two);
    for (int i = 0; i < 10; i++) {
        start(&reader, tcp_read, tcp_read(&pair.stream, buffer, 10));
        turn();
        say("x");
        check(join(&reader) == 1);
    }
}
