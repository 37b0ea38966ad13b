/* time.c: sleep, timeout, the budget. See unit.h.
 *
 * pass() moves the clock; nothing here waits long, and a slow machine changes nothing.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

static struct counts one, two;
static struct pair pair;
static char buffer[1 << 20];

/* ---- sleep ------------------------------------------------------------------------- */

TEST(a_sleep_of_nothing_and_one_of_less_are_ready_at_once)
{
    struct bell waiting = bell();
    struct sleep zero = sleep_for(0), less = sleep_for(-5);

    check(future_poll(&zero.future, &waiting.waker) == 0);
    check(future_poll(&less.future, &waiting.waker) == 0);
    check(timer_count == 0);
}

TEST(a_sleep_is_never_too_short)
{
    struct timespec begin, end;

    for (int ms = 1; ms <= 20; ms++) {
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        check(await(sleep, sleep_for(ms)) == 0);
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        check((end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec >=
              ms * 1000000L);
    }
}

TEST(a_sleep_is_counted_from_the_call_and_not_from_the_first_poll)
{
    struct bell waiting = bell();
    struct sleep sleep = sleep_for(1000);

    pass(1001);
    check(future_poll(&sleep.future, &waiting.waker) == PENDING); /* the loop ends it */
    turn();
    check(future_poll(&sleep.future, &waiting.waker) == 0);
}

TEST(a_sleep_for_ever_costs_no_timer_and_does_not_end)
{
    struct bell waiting = bell();
    struct sleep sleep = sleep_for(FOREVER);

    check(future_poll(&sleep.future, &waiting.waker) == PENDING);
    check(timer_count == 0);
    pass(1000L * 1000 * 1000 * 1000);
    turn();
    check(waiting.rung == 0);
    future_drop(&sleep.future);
}

TEST(a_sleep_longer_than_epoll_can_wait_is_asked_for_in_parts)
{
    struct bell waiting = bell();
    struct sleep sleep = sleep_for(INT32_MAX + 1000L);

    check(future_poll(&sleep.future, &waiting.waker) == PENDING);
    check(timers_wait_ms(clock_ms()) == INT32_MAX);
    pass(INT32_MAX);
    turn();
    check(waiting.rung == 0 && timers_wait_ms(clock_ms()) > 0);
    pass(1001);
    turn();
    check(waiting.rung == 1);
}

TEST(a_sleep_almost_for_ever_does_not_end_at_once)
{
    struct sleep sleep = sleep_for(FOREVER - 1);
    check(await(timeout, timeout(&sleep.future, 2)) == TIMED_OUT);
}

static struct sleep sleeps[10000];
static struct bell bells[10000];

static void begin_sleeps(int count, int64_t (*length)(int i))
{
    for (int i = 0; i < count; i++) {
        bells[i] = bell();
        sleeps[i] = sleep_for(length(i));
        check(future_poll(&sleeps[i].future, &bells[i].waker) == PENDING);
    }
}

static int64_t shuffled(int i)
{
    return 1000 + (int64_t)i * 7919 % 10000 * 100;
}

TEST(ten_thousand_sleeps_each_end_once_and_none_before_its_time)
{
    begin_sleeps(10000, shuffled);
    for (int64_t begin = clock_ms(), now; (now = clock_ms()) - begin < 1100000;) {
        for (int i = 0; i < 10000; i++)
            check(bells[i].rung == 0 || sleeps[i].deadline <= now);
        pass(50000);
        turn();
    }
    for (int i = 0; i < 10000; i++)
        check(bells[i].rung == 1);
}

TEST(sleeps_that_are_dropped_wake_nobody_and_the_others_end)
{
    begin_sleeps(1000, shuffled);
    for (int i = 0; i < 1000; i += 2)
        future_drop(&sleeps[i * 7 % 1000 / 2 * 2].future);
    pass(2000000);
    turn();
    for (int i = 0; i < 1000; i++)
        check(bells[i].rung == (sleeps[i].future.vtable != NULL));
    check(timer_count == 0);
}

TEST(a_short_sleep_begun_after_a_long_one_ends_first)
{
    start(NULL, sleep, sleep_for(50000));
    turn();
    check(await(sleep, sleep_for(5)) == 0);
}

/* CPU time: the quadratic way took 50 times as long as this allows. */
TEST(a_hundred_thousand_long_sleeps_are_dropped_in_no_time)
{
    enum { MANY = 100000 };
    struct sleep *all = malloc(MANY * sizeof *all);
    struct bell waiting = bell();

    for (int i = 0; i < MANY; i++) {
        all[i] = sleep_for(100000000 + i * 31L % 1000);
        check(future_poll(&all[i].future, &waiting.waker) == PENDING);
    }
    for (int i = 0; i < MANY; i++)
        future_drop(&all[i].future);
    check(clock() < 2 * CLOCKS_PER_SEC);
    free(all);
}

/* ---- timeout ----------------------------------------------------------------------- */

static long kernel_timed_out(struct counts *its, struct waker *waker)
{
    (void)its, (void)waker;
    return -ETIMEDOUT;
}

TEST(our_time_out_is_not_the_kernels_etimedout)
{
    struct probe theirs = probe(&one), ours = probe(&two);

    one.on_poll = kernel_timed_out;
    check(await(timeout, timeout(&theirs.future, 1000)) == -ETIMEDOUT);
    long number = await(timeout, timeout(&ours.future, 2));
    check(number == TIMED_OUT && number != -ETIMEDOUT);
    check(strerror((int)-number) != NULL && number < -4095); /* no errno is that large */
    check(two.polls >= 1 && two.drops == 1);
}

static long busy_poll(struct future *future, struct waker *waker)
{
    (void)future;
    while (coop_proceed(waker, 0))
        continue;
    return PENDING;
}

TEST(a_limit_ends_work_that_uses_up_every_turn)
{
    static const struct future_vtable vtable = {busy_poll, NULL};
    struct future busy = {&vtable};
    struct timeout limit = timeout(&busy, 100);
    struct bell waiting = bell();
    long result = PENDING;

    check(future_poll(&limit.future, &waiting.waker) == PENDING);
    pass(101);
    turn();
    for (int turns = 0; turns < 3 && result == PENDING; turns++) {
        coop_budget = COOP_BUDGET;
        result = future_poll(&limit.future, &waiting.waker);
    }
    check(result == TIMED_OUT);
}

/* What arrived while the process was stopped counts more than the limit. */
TEST(a_limit_that_ran_out_while_the_process_was_stopped_looks_once_more)
{
    pair_open(&pair);
    struct tcp_read read = tcp_read(&pair.stream, buffer, 3);
    struct timeout limit = timeout(&read.future, 1000);
    start(&one.handle, timeout, limit);
    turn();
    turn();
    check(say(&pair, "now") == 3);
    pass(5000);
    check(join(&one.handle) == 3);
    pair_close(&pair);
}

/* ---- the budget -------------------------------------------------------------------- */

static size_t asked = 16 * 1024;
static long moved, most; /* bytes in this turn; in any turn */
static int calls, most_calls;
static struct tcp_read read_of_one;

static long read_all(struct counts *its, struct waker *waker)
{
    long number = 1;

    (void)its;
    for (moved = calls = 0; number > 0; calls++, moved += number > 0 ? number : 0) {
        if (read_of_one.future.vtable == NULL)
            read_of_one = tcp_read(&pair.stream, buffer, asked);
        number = future_poll(&read_of_one.future, waker);
        if (number == PENDING)
            break;
    }
    most = moved > most ? moved : most;
    most_calls = calls > most_calls ? calls : most_calls;
    return number == PENDING ? PENDING : number;
}

static void flood(long bytes)
{
    pair_open(&pair);
    check(setsockopt(pair.other, SOL_SOCKET, SO_SNDBUFFORCE, &(int){1 << 21},
                     sizeof(int)) == 0 ||
          bytes <= 100000);
    while (bytes > 0) {
        long sent = send(pair.other, buffer, bytes < 4096 ? (size_t)bytes : 4096, 0);
        check(sent > 0);
        bytes -= sent;
    }
    (void)shutdown(pair.other, SHUT_WR);
    one.on_poll = read_all;
    start(&one.handle, probe, probe(&one));
    check(join(&one.handle) == 0);
    pair_close(&pair);
}

TEST(a_turn_moves_no_more_bytes_than_the_budget_and_one_read)
{
    flood(100000);
    check(most >= 16 * 1024 && most <= COOP_BUDGET + (long)asked);
}

TEST(a_turn_makes_no_more_calls_than_the_budget_has_room_for)
{
    asked = 1;
    flood(1000);
    check(most_calls > 1 && most_calls <= COOP_BUDGET / COOP_CALL + 1);
}

TEST(what_was_read_can_be_sent_in_the_same_turn)
{
    struct bell waiting = bell();

    pair_open(&pair);
    turn();
    coop_budget = COOP_CALL; /* a read has used all but this */
    struct tcp_write_all write = tcp_write_all(&pair.stream, buffer, 30000);
    check(future_poll(&write.future, &waiting.waker) == 0 && waiting.rung == 0);
    coop_budget -= COOP_BUDGET;
    write = tcp_write_all(&pair.stream, buffer, 1);
    check(future_poll(&write.future, &waiting.waker) == PENDING && waiting.rung == 1);
    future_drop(&write.future);
    pair_close(&pair);
}

/* ---- tasks that never wait --------------------------------------------------------- */

static long again_sleep(struct counts *its, struct waker *waker)
{
    (void)its;
    while (future_poll(&((struct sleep[1]){sleep_for(0)})->future, waker) != PENDING)
        continue;
    return PENDING;
}

static long again_wake(struct counts *its, struct waker *waker)
{
    (void)its;
    waker->wake(waker);
    return PENDING;
}

TEST(beside_tasks_that_never_wait_an_echo_is_answered)
{
    struct join reader;

    pair_open(&pair);
    one.on_poll = again_sleep;
    two.on_poll = again_wake;
    start(NULL, probe, probe(&one));
    start(NULL, probe, probe(&two));
    for (int i = 0; i < 10; i++) {
        start(&reader, tcp_read, tcp_read(&pair.stream, buffer, 10));
        turn();
        check(say(&pair, "x") == 1);
        check(join(&reader) == 1);
    }
    pair_close(&pair);
}
