/* stop.c: stop, the two signals, open and close. See unit.h. */
#define _GNU_SOURCE
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- stopped, and AWAIT_UNTIL ------------------------------------------------------ */

static struct stopped stop; /* a task may outlive the test */
static struct probe work;

static struct until until_stopped(struct future *its_work)
{
    stop = stopped();
    return until(its_work, &stop.future);
}

TEST(work_that_is_ready_counts_more_than_the_stop)
{
    one.on_poll = ready;
    work = probe(&one);
    stop_now();
    check(stop_requested());
    check(await(until, until_stopped(&work.future)) == 7);
}

TEST(work_that_waits_is_dropped_when_the_runtime_is_stopped)
{
    work = probe(&one);
    start(&two.handle, until, until_stopped(&work.future));
    turn();
    check(one.polls == 1 && one.drops == 0);
    stop_now();
    check(join(&two.handle) == INTERRUPTED);
    check(one.drops == 1);
}

TEST(what_ends_the_wait_may_be_used_again_while_it_is_pending)
{
    struct sleep sleep = sleep_for(1), endless = sleep_for(FOREVER);

    check(await(until, until_stopped(&sleep.future)) == 0);
    start(&two.handle, until, until(&endless.future, &stop.future));
    turn();
    stop_now();
    check(join(&two.handle) == INTERRUPTED);
}

/* A used-up budget is not "nothing there". */
TEST(work_that_has_used_up_its_budget_is_not_stopped)
{
    struct sleep over = sleep_for(0);
    struct until both = until_stopped(&over.future);

    stop_now();
    coop_budget = 0;
    check(poll_by_hand(both) == PENDING && bell.rung > 0);
    coop_budget = COOP_BUDGET;
    check(poll_by_hand(both) == 0);
}

/* ---- the two signals --------------------------------------------------------------- */

static void *terminate_us(void *nothing)
{
    (void)usleep(10000); /* so it sleeps by now, most likely */
    (void)kill(getpid(), SIGTERM);
    return nothing;
}

TEST(sigterm_stops_all_who_wait_for_the_stop)
{
    pthread_t thread;

    stop_on_signals();
    start(&one.handle, stopped, stopped());
    start(&two.handle, stopped, stopped());
    check(pthread_create(&thread, NULL, terminate_us, NULL) == 0);
    check(join(&one.handle) == 0 && join(&two.handle) == 0);
    (void)pthread_join(thread, NULL);
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

ON_POLL(interrupt, return raise(SIGINT))

static void signal_in_a_task(void)
{
    one.on_poll = interrupt;
    spawn_probe(&one);
    turns(2);
}

TEST(ctrl_c_ends_a_program_that_never_asks_for_it)
{
    check(ended_by(signal_in_a_task) == SIGINT);
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

/* ---- open and close ---------------------------------------------------------------- */

TEST(a_stream_that_outlives_block_on_can_be_closed)
{
    char byte;

    pair_open();
    say("a");
    check(await(tcp_read, tcp_read(&pair.stream, &byte, 1)) == 1);
    pair_close();
}

TEST(two_runtimes_one_after_the_other_share_nothing)
{
    for (int i = 0; i < 3; i++) {
        stop_on_signals();
        check(!stop_requested());
        one = (struct counts){0};
        start(NULL, probe, probe(&one));
        start(NULL, sleep, sleep_for(100000));
        start(NULL, stopped, stopped());
        (void)raise(SIGTERM);
        check(await(stopped, stopped()) == 0);
        runtime_close();
        check(one.drops == 1);
        check(runtime_open() == 0);
        check(timer_count == 0);
    }
}
