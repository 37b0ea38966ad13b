/* net.c: TCP. See unit.h. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct counts one, two;
static struct pair pair;
static char buffer[4096];

static long read_some(size_t size)
{
    return await(tcp_read, tcp_read(&pair.stream, buffer, size));
}

/* ---- read -------------------------------------------------------------------------- */

TEST(an_urgent_byte_is_read_in_its_place_and_leaves_nothing_ready)
{
    struct bell waiting = bell();

    pair_open_tcp(&pair);
    check(send(pair.other, "ab", 2, 0) == 2 && send(pair.other, "!", 1, MSG_OOB) == 1);
    check(send(pair.other, "cd", 2, 0) == 2);
    for (long got = 0; got < 5;) {
        long number = await(tcp_read, tcp_read(&pair.stream, buffer + got, 100));
        check(number > 0);
        got += number;
    }
    check(memcmp(buffer, "ab!cd", 5) == 0);
    struct tcp_read read = tcp_read(&pair.stream, buffer, 100);
    check(future_poll(&read.future, &waiting.waker) == PENDING);
    check((pair.stream.source.ready & READABLE) == 0); /* EAGAIN was asked for once */
    future_drop(&read.future);
    pair_close(&pair);
}

/* ---- write ------------------------------------------------------------------------- */

/* Longer than both buffers; in a pattern that shows what is lost or comes twice. */
enum { MUCH = 8 << 20 };
static char *much;

static void make_much(void)
{
    much = malloc(MUCH);
    check(much != NULL);
    for (int i = 0; i < MUCH; i++)
        much[i] = (char)(i * 31 + i / 4096);
}

static long read_slowly(struct counts *its, struct waker *waker)
{
    static long all;
    long some;

    (void)its;
    while ((some = recv(pair.other, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        for (long i = 0; i < some; i++, all++)
            check(buffer[i] == (char)(all * 31 + all / 4096));
    if (some == 0)
        return all;
    waker->wake(waker);
    return PENDING;
}

TEST(write_all_copies_what_it_cannot_send_and_every_byte_arrives)
{
    make_much();
    pair_open_tcp(&pair);
    start(&one.handle, tcp_write_all, tcp_write_all(&pair.stream, much, MUCH));
    turn();
    memset(much, 0, MUCH); /* it need not outlive the first poll */
    two.on_poll = read_slowly;
    start(&two.handle, probe, probe(&two));
    check(join(&one.handle) == 0);
    tcp_shutdown(&pair.stream);
    check(join(&two.handle) == MUCH);
    free(much);
    pair_close(&pair);
}

/* ---- cancelled, and the descriptor used again -------------------------------------- */

/* What the first stream's task would have been woken by comes before and after its end. */
static void check_reused(void (*begin)(void))
{
    pair_open(&pair);
    begin();
    turn();
    int fd = pair.stream.source.fd, other = pair.other;
    (void)say(&pair, "late");
    cancel(&one.handle);
    pair_close(&pair);
    pair_open(&pair);
    check(pair.stream.source.fd == fd && pair.other == other);
    start(&two.handle, tcp_read, tcp_read(&pair.stream, buffer, 100));
    turn();
    turn();
    check(two.handle.future.vtable != NULL);
    check(say(&pair, "new") == 3);
    check(join(&two.handle) == 3 && memcmp(buffer, "new", 3) == 0);
    pair_close(&pair);
}

static void begin_read(void)
{
    start(&one.handle, tcp_read, tcp_read(&pair.stream, buffer, 1));
}

static void begin_write(void)
{
    static const char bytes[1 << 20];
    start(&one.handle, tcp_write_all, tcp_write_all(&pair.stream, bytes, sizeof bytes));
}

TEST(a_cancelled_read_hears_nothing_of_the_next_stream_with_its_descriptor)
{
    check_reused(begin_read);
}

TEST(a_cancelled_write_hears_nothing_of_the_next_stream_with_its_descriptor)
{
    check_reused(begin_write);
}

TEST(a_cancelled_read_has_taken_no_bytes)
{
    pair_open(&pair);
    begin_read();
    turn();
    check(say(&pair, "all") == 3);
    cancel(&one.handle);
    turn();
    check(read_some(100) == 3);
    pair_close(&pair);
}

TEST(a_stream_closed_under_a_waiting_read_lets_it_be_dropped)
{
    struct bell waiting = bell();

    pair_open(&pair);
    struct tcp_read read = tcp_read(&pair.stream, buffer, 1);
    check(future_poll(&read.future, &waiting.waker) == PENDING);
    pair_close(&pair);
    check(waiting.rung == 1);
    memset(&pair, 0xee, sizeof pair);
    future_drop(&read.future);
}

TEST(a_copy_of_a_descriptor_keeps_no_stale_registration)
{
    pair_open(&pair);
    int copy = dup(pair.stream.source.fd);
    tcp_stream_close(&pair.stream);
    memset(&pair.stream, 0xee, sizeof pair.stream);
    (void)say(&pair, "to the copy");
    turn();
    turn();
    (void)close(copy);
    (void)close(pair.other);
}

/* ---- no progress for so long ------------------------------------------------------- */

static long idle_read(int64_t ms)
{
    static struct tcp_read read;
    read = tcp_read(&pair.stream, buffer, sizeof buffer);
    start(&one.handle, tcp_idle, tcp_idle(&read.future, &pair.stream, ms));
    turn();
    return 0;
}

TEST(a_silent_peer_is_idle_after_the_limit_and_before_twice_the_limit)
{
    pair_open_tcp(&pair);
    (void)idle_read(100000);
    pass(99000);
    turn();
    turn();
    check(timer_count == 1);
    pass(101000);
    check(join(&one.handle) == TIMED_OUT);
    pair_close(&pair);
}

TEST(a_peer_who_never_reads_is_idle_too)
{
    static struct tcp_write_all write;

    make_much();
    pair_open_tcp(&pair);
    write = tcp_write_all(&pair.stream, much, MUCH);
    start(&one.handle, tcp_idle, tcp_idle(&write.future, &pair.stream, 100000));
    (void)await(sleep, sleep_for(50)); /* the kernel's buffers fill */
    for (int i = 0; i < 3; i++) {
        pass(100001);
        (void)await(sleep, sleep_for(5));
    }
    check(join(&one.handle) == TIMED_OUT);
    free(much);
    pair_close(&pair);
}

TEST(a_peer_who_took_the_last_byte_a_moment_ago_is_not_idle)
{
    static struct tcp_read read;

    pair_open_tcp(&pair);
    pair_fill(&pair);
    read = tcp_read(&pair.stream, buffer, sizeof buffer);
    start(&one.handle, tcp_idle, tcp_idle(&read.future, &pair.stream, 100000));
    turn();
    pass(90000);
    for (int i = 0; i < 10; i++) {
        (void)hear(&pair);
        (void)await(sleep, sleep_for(5));
    }
    pass(11000);
    turn();
    turn();
    check(timer_count == 1); /* and not TIMED_OUT */
    pass(100001);
    check(join(&one.handle) == TIMED_OUT);
    pair_close(&pair);
}

/* Nobody reads what it says, because the echo of what it said before is not sent yet. */
TEST(a_peer_who_only_speaks_is_not_idle)
{
    static struct tcp_write_all write;

    make_much();
    pair_open_tcp(&pair);
    write = tcp_write_all(&pair.stream, much, MUCH);
    start(&one.handle, tcp_idle, tcp_idle(&write.future, &pair.stream, 100000));
    (void)await(sleep, sleep_for(50)); /* the kernel's buffers fill */
    for (int i = 0; i < 5; i++) {
        pass(100001);
        (void)await(sleep, sleep_for(5));
        check(timer_count == 1);
        check(say(&pair, "more") == 4);
        (void)await(sleep, sleep_for(5));
    }
    for (int i = 0; i < 2; i++) {
        pass(100001);
        (void)await(sleep, sleep_for(5));
    }
    check(timer_count == 0);
    check(join(&one.handle) == TIMED_OUT);
    free(much);
    pair_close(&pair);
}

/* Less than makes the socket writable: only the peer's acknowledgements show it. */
TEST(a_peer_who_reads_slowly_but_steadily_is_not_idle)
{
    static struct tcp_write_all write;

    make_much();
    pair_open_tcp(&pair);
    (void)setsockopt(pair.other, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
    write = tcp_write_all(&pair.stream, much, MUCH);
    start(&one.handle, tcp_idle, tcp_idle(&write.future, &pair.stream, 100000));
    (void)await(sleep, sleep_for(50));
    for (int i = 0; i < 10; i++) {
        for (long some = 0; some < 200000;)
            some += recv(pair.other, buffer, sizeof buffer, 0);
        (void)await(sleep, sleep_for(5));
        pass(99000);
        turn();
    }
    task_cancel(&one.handle);
    check(join(&one.handle) == CANCELLED); /* and not TIMED_OUT before */
    free(much);
    pair_close(&pair);
}

/* ---- drain ------------------------------------------------------------------------- */

TEST(a_limit_ends_a_drain_that_never_runs_dry)
{
    struct bell waiting = bell();
    long result = PENDING;

    pair_open_tcp(&pair);
    struct tcp_read drain = tcp_drain(&pair.stream, buffer, sizeof buffer);
    struct timeout limit = timeout(&drain.future, 100);
    check(future_poll(&limit.future, &waiting.waker) == PENDING);
    pass(101);
    for (int turns = 0; turns < 5 && result == PENDING; turns++) {
        static const char flood[COOP_BUDGET];
        check(send(pair.other, flood, sizeof flood, 0) == sizeof flood);
        (void)await(sleep, sleep_for(2)); /* it arrives, and the limit is over */
        coop_budget = COOP_BUDGET;
        result = future_poll(&limit.future, &waiting.waker);
        check(result != PENDING || pair.stream.source.ready & READABLE);
    }
    check(result == TIMED_OUT);
    pair_close(&pair);
}
