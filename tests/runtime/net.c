/* net.c: TCP. See unit.h. */
#define _GNU_SOURCE
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[64 * 1024];

/* Longer than both buffers; in a pattern that shows what is lost or comes twice. */
enum { MUCH = 8 << 20 };
static char much[MUCH];

static char byte_at(long place)
{
    return (char)(place * 31 + place / 4096);
}

static void start_read(struct counts *its)
{
    start(&its->handle, tcp_read, tcp_read(&pair.stream, buffer, sizeof buffer));
    turn();
}

static void start_write(struct counts *its)
{
    for (long i = 0; i < MUCH; i++)
        much[i] = byte_at(i);
    start(&its->handle, tcp_write_all, tcp_write_all(&pair.stream, much, MUCH));
    turn();
    memset(much, 0, MUCH); /* it need not outlive the first poll */
}

/* ---- read and write ---------------------------------------------------------------- */

TEST(an_urgent_byte_is_read_in_its_place_and_leaves_nothing_ready)
{
    struct tcp_listener listener;
    struct address here, peer;
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    tcp_listen(&listener, "127.0.0.1", 0, &here);
    check(connect(other, &here.any, sizeof here.v4) == 0);
    pair_take((int)await(tcp_accept, tcp_accept(&listener, &peer)), other);
    tcp_listener_close(&listener);
    check(send(other, "ab", 2, 0) == 2 && send(other, "!", 1, MSG_OOB) == 1);
    check(send(other, "cd", 2, 0) == 2);
    for (long got = 0, number; got < 5; got += number) {
        number = await(tcp_read, tcp_read(&pair.stream, buffer + got, 100));
        check(number > 0);
    }
    check(memcmp(buffer, "ab!cd", 5) == 0);
    struct tcp_read read = tcp_read(&pair.stream, buffer, 100);
    check(poll_by_hand(read) == PENDING);
    check((pair.stream.source.ready & READABLE) == 0); /* EAGAIN was asked for once */
    future_drop(&read.future);
}

static long read_slowly(struct counts *its, struct waker *waker)
{
    static long all;
    long some;

    while ((some = recv(pair.other, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        for (long i = 0; i < some; i++, all++)
            check(buffer[i] == byte_at(all));
    return some == 0 ? all : again(its, waker);
}

TEST(write_all_copies_what_it_cannot_send_and_every_byte_arrives)
{
    pair_open();
    start_write(&one);
    two.on_poll = read_slowly;
    spawn_probe(&two);
    check(join(&one.handle) == 0);
    tcp_shutdown(&pair.stream);
    check(join(&two.handle) == MUCH);
}

/* ---- cancelled, closed ------------------------------------------------------------- */

/* What the first stream's task would have been woken by comes before and after its end. */
static void check_reused(void (*begin)(struct counts *its))
{
    pair_open();
    begin(&one);
    int fd = pair.stream.source.fd, other = pair.other;
    say("late");
    cancel(&one.handle);
    pair_close();
    pair_open();
    check(pair.stream.source.fd == fd && pair.other == other);
    start_read(&two);
    turn();
    check(two.handle.future.vtable != NULL);
    say("new");
    check(join(&two.handle) == 3 && memcmp(buffer, "new", 3) == 0);
}

TEST(a_cancelled_read_or_write_hears_nothing_of_the_next_stream_with_its_descriptor)
{
    check_reused(start_read);
    pair_close();
    check_reused(start_write);
}

TEST(a_cancelled_read_has_taken_no_bytes)
{
    pair_open();
    start_read(&one);
    say("all");
    cancel(&one.handle);
    turn();
    check(await(tcp_read, tcp_read(&pair.stream, buffer, 100)) == 3);
}

/* Nobody looks at a stream that is closed: not a read that still waits, and not epoll,
 * although there is a copy of the descriptor. */
TEST(a_stream_closed_under_a_waiting_read_is_forgotten)
{
    pair_open();
    int copy = dup(pair.stream.source.fd);
    struct tcp_read read = tcp_read(&pair.stream, buffer, 1);
    check(poll_by_hand(read) == PENDING);
    tcp_stream_close(&pair.stream);
    check(bell.rung == 1);
    memset(&pair.stream, 0xee, sizeof pair.stream);
    future_drop(&read.future);
    say("to the copy");
    turns(2);
    (void)close(copy);
    pair.stream.source.fd = -1;
}

/* ---- no progress for so long ------------------------------------------------------- */

enum { LIMIT = 100000 };

/* Task `one` reads, or writes so much that it has to wait, with a limit. */
static void start_idle(bool writes)
{
    static struct tcp_read read;
    static struct tcp_write_all write;

    read = tcp_read(&pair.stream, buffer, sizeof buffer);
    write = tcp_write_all(&pair.stream, much, MUCH);
    start(&one.handle, tcp_idle,
          tcp_idle(writes ? &write.future : &read.future, &pair.stream, LIMIT));
    turn();
}

static void pass_and_look(int64_t ms)
{
    pass(ms);
    turns(3);
}

static bool is_idle(void)
{
    return timer_count == 0;
}

TEST(a_silent_peer_is_idle_after_the_limit_and_before_twice_the_limit)
{
    pair_open();
    start_idle(false);
    pass_and_look(LIMIT - 1000);
    check(!is_idle());
    pass(LIMIT + 1000);
    check(join(&one.handle) == TIMED_OUT);
}

TEST(a_peer_who_never_reads_is_idle_too)
{
    pair_open();
    start_idle(true);
    pass_and_look(LIMIT + 1);
    pass(LIMIT + 1);
    check(join(&one.handle) == TIMED_OUT);
}

TEST(a_peer_who_took_the_last_byte_a_moment_ago_is_not_idle)
{
    pair_open();
    pair_fill();
    start_idle(false);
    pass_and_look(LIMIT - 10000);
    check(hear() > 0);
    pass_and_look(11000);
    check(!is_idle());
    pass(LIMIT + 1);
    check(join(&one.handle) == TIMED_OUT);
}

/* Nobody reads what it says, because the echo of what it said before is not sent yet. */
TEST(a_peer_who_only_speaks_is_not_idle)
{
    pair_open();
    start_idle(true);
    for (int i = 0; i < 5; i++) {
        say("more");
        pass_and_look(LIMIT + 1);
        check(!is_idle());
    }
    pass(LIMIT + 1);
    check(join(&one.handle) == TIMED_OUT);
}

/* Less than makes the socket writable: only the number of unsent bytes shows it. */
TEST(a_peer_who_reads_slowly_but_steadily_is_not_idle)
{
    pair_open();
    pair_fill();
    start_idle(true);
    for (int i = 0; i < 10; i++) {
        check(recv(pair.other, buffer, 4096, 0) > 0);
        pass_and_look(LIMIT - 1000);
        check(!is_idle());
    }
}

/* ---- drain ------------------------------------------------------------------------- */

TEST(a_limit_ends_a_drain_that_never_runs_dry)
{
    long result = PENDING;

    pair_open();
    struct tcp_read drain = tcp_drain(&pair.stream, buffer, 4096);
    struct timeout limit = timeout(&drain.future, 100);
    check(poll_by_hand(limit) == PENDING);
    pass(101);
    for (int i = 0; i < 5 && result == PENDING; i++) {
        check(send(pair.other, much, COOP_BUDGET, 0) == COOP_BUDGET);
        turn(); /* it arrives, and the limit is over */
        coop_budget = COOP_BUDGET;
        result = poll_by_hand(limit);
        check(result != PENDING || pair.stream.source.ready & READABLE);
    }
    check(result == TIMED_OUT);
}
