/* sync.c: notify, stop, the two signals, open and close. See unit.h. */
#define _GNU_SOURCE
#include "unit.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct notify notify;
static struct counts one, two;
static struct pair pair;
static char buffer[100];

/* ---- notify ---------------------------------------------------------------------------- */

TEST(a_notification_that_nobody_waits_for_is_kept_and_two_are_one)
{
    notify_all(&notify);
    notify_all(&notify);
    check(await(notified, notified(&notify)) == 0);
    struct notified again = notified(&notify);
    check(await(timeout, timeout(&again.future, 2)) == TIMED_OUT);
}

TEST(a_notification_that_somebody_waits_for_is_not_kept)
{
    start(&one.handle, notified, notified(&notify));
    start(&two.handle, notified, notified(&notify));
    turn();
    notify_all(&notify);
    check(join(&one.handle) == 0 && join(&two.handle) == 0);
    struct notified again = notified(&notify);
    check(await(timeout, timeout(&again.future, 2)) == TIMED_OUT);
}

/* ---- until_stop ------------------------------------------------------------------------ */

TEST(work_that_ends_before_the_stop_has_its_own_number)
{
    struct probe work = probe(&one);
    one.on_poll = ready;
    check(await(until_stop, until_stop(&work.future)) == 7);
}

TEST(work_that_is_ready_counts_more_than_the_stop)
{
    struct probe work = probe(&one);
    one.on_poll = ready;
    stop_now();
    check(stop_requested());
    check(await(until_stop, until_stop(&work.future)) == 7);
}

TEST(work_that_waits_is_dropped_when_the_runtime_is_stopped)
{
    struct probe work = probe(&one);
    struct until_stop until = until_stop(&work.future);

    start(&two.handle, until_stop, until);
    turn();
    check(one.polls == 1 && one.drops == 0);
    stop_now();
    check(join(&two.handle) == STOPPED);
    check(one.drops == 1);
}

/* A used-up budget is not "nothing there". */
TEST(work_that_has_used_up_its_budget_is_not_stopped)
{
    struct bell waiting = bell();

    pair_open(&pair);
    check(say(&pair, "x") == 1);
    turn();
    struct tcp_read read = tcp_read(&pair.stream, buffer, 1);
    struct until_stop until = until_stop(&read.future);
    stop_now();
    coop_budget = 0;
    check(future_poll(&until.future, &waiting.waker) == PENDING);
    check(waiting.rung > 0);
    coop_budget = COOP_BUDGET;
    check(future_poll(&until.future, &waiting.waker) == 1);
    pair_close(&pair);
}

TEST(a_limit_does_not_end_work_that_has_used_up_its_budget)
{
    struct bell waiting = bell();

    pair_open(&pair);
    check(say(&pair, "x") == 1);
    turn();
    struct tcp_read read = tcp_read(&pair.stream, buffer, 1);
    struct timeout limit = timeout(&read.future, 1000);
    pass(2000);
    coop_budget = 0;
    check(future_poll(&limit.future, &waiting.waker) == PENDING);
    coop_budget = COOP_BUDGET;
    check(future_poll(&limit.future, &waiting.waker) == 1);
    pair_close(&pair);
}

/* A combinator that polls only who was woken, with a waker of its own. */
struct picky {
    struct future future;
    struct waker own, *outer;
    bool woken;
    struct sleep forever;
    struct until_stop until;
};

static void picky_wake(struct waker *waker)
{
    struct picky *self = (struct picky *)(void *)((char *)waker - offsetof(struct picky, own));
    self->woken = true;
    self->outer->wake(self->outer);
}

static long picky_poll(struct future *future, struct waker *waker)
{
    struct picky *self = (struct picky *)future;
    bool woken = self->woken;

    self->outer = waker;
    self->woken = false;
    return woken ? future_poll(&self->until.future, &self->own) : PENDING;
}

static void signal_soon(int number)
{
    pid_t parent = getpid();
    if (fork() == 0) {
        (void)usleep(30000);
        (void)kill(parent, number);
        _exit(0);
    }
}

TEST(ctrl_c_reaches_a_future_behind_a_waker_of_its_own)
{
    static const struct future_vtable vtable = {picky_poll, NULL};
    struct picky picky = {.future = {&vtable}, .own = {picky_wake}, .woken = true};

    stop_on_signals();
    picky.forever = sleep_for(FOREVER);
    picky.until = until_stop(&picky.forever.future);
    signal_soon(SIGINT);
    check(block_on(&picky.future) == STOPPED);
}

/* ---- the two signals ------------------------------------------------------------------- */

TEST(sigterm_stops_all_who_wait_in_until_stop)
{
    static struct sleep sleeps[2];

    stop_on_signals();
    sleeps[0] = sleeps[1] = sleep_for(FOREVER);
    start(&one.handle, until_stop, until_stop(&sleeps[0].future));
    start(&two.handle, until_stop, until_stop(&sleeps[1].future));
    signal_soon(SIGTERM);
    check(join(&one.handle) == STOPPED && join(&two.handle) == STOPPED);
}

/* The signal that ends a child which does this; 0: none. */
static int ended_by(void (*what)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        what();
        _exit(0);
    }
    check(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void signal_while_it_waits(void)
{
    signal_soon(SIGINT);
    (void)await(sleep, sleep_for(3000));
}

TEST(ctrl_c_ends_a_program_that_never_asks_for_it)
{
    check(ended_by(signal_while_it_waits) == SIGINT);
}

static void signal_after_close(void)
{
    stop_on_signals();
    runtime_close();
    (void)raise(SIGINT);
}

TEST(ctrl_c_ends_a_program_whose_runtime_is_closed)
{
    check(ended_by(signal_after_close) == SIGINT);
}

static void signal_before_it_is_asked_for(void)
{
    sigset_t both;
    stop_on_signals();
    (void)sigemptyset(&both);
    (void)sigaddset(&both, SIGINT);
    (void)raise(SIGINT); /* blocked: it stays until the loop looks */
    struct sleep forever = sleep_for(FOREVER);
    if (await(until_stop, until_stop(&forever.future)) != STOPPED)
        _exit(1);
    (void)usleep(700000); /* within half a second it is taken for the same one */
    (void)raise(SIGINT);
    turn();
}

TEST(a_second_ctrl_c_ends_the_process)
{
    check(ended_by(signal_before_it_is_asked_for) == SIGINT);
}

/* ---- open and close -------------------------------------------------------------------- */

TEST(a_stream_that_outlives_block_on_can_be_closed)
{
    struct tcp_listener listener;
    struct tcp_stream stream;
    struct address here;

    tcp_listen(&listener, "127.0.0.1", 0, &here);
    check(await(tcp_connect, tcp_connect(&stream, &here)) == 0);
    tcp_stream_close(&stream);
    tcp_listener_close(&listener);
}

TEST(a_stream_that_outlives_the_runtime_can_be_closed)
{
    pair_open(&pair);
    runtime_close();
    pair_close(&pair);
    check(runtime_open() == 0);
}

TEST(a_stream_of_the_first_block_on_is_read_in_the_second)
{
    pair_open(&pair);
    turn();
    check(say(&pair, "x") == 1);
    check(await(tcp_read, tcp_read(&pair.stream, buffer, 100)) == 1);
    pair_close(&pair);
}

TEST(two_runtimes_one_after_the_other_share_nothing)
{
    for (int i = 0; i < 3; i++) {
        struct sleep forever = sleep_for(FOREVER);
        stop_on_signals();
        check(!stop_requested());
        one = two = (struct counts){0};
        start(NULL, probe, probe(&one));
        start(NULL, sleep, sleep_for(100000));
        start(NULL, until_stop, until_stop(&((struct sleep[1]){sleep_for(FOREVER)})->future));
        (void)raise(SIGTERM);
        check(await(until_stop, until_stop(&forever.future)) == STOPPED);
        runtime_close();
        check(one.drops == 1);
        check(runtime_open() == 0);
        check(!timers_exist());
    }
}

TEST(a_task_left_by_one_block_on_goes_on_in_the_next)
{
    start(&one.handle, sleep, sleep_for(5));
    turn();
    check(join(&one.handle) == 0);
}

TEST(a_runtime_without_descriptors_does_not_open)
{
    runtime_close();
    while (dup(0) != -1)
        continue;
    check(runtime_open() == -EMFILE);
    (void)close(3);
    check(runtime_open() == 0);
}
