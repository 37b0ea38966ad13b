/* sync.c: notify, stop, the two signals, open and close. See unit.h. */
#define _GNU_SOURCE
#include "unit.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct notify notify;
static struct counts one, two;
static struct pair pair;
static char buffer[100];

/* ---- notify ------------------------------------------------------------------------ */

TEST(a_notification_that_nobody_waits_for_is_kept_and_two_are_one)
{
    notify_all(&notify);
    notify_all(&notify);
    check(await(notified, notified(&notify)) == 0);
    struct notified again = notified(&notify);
    check(await(timeout, timeout(&again.future, 2)) == TIMED_OUT);
}

/* ---- semaphore --------------------------------------------------------------------- */

static struct semaphore semaphore;

TEST(a_semaphore_lets_so_many_go_on_and_the_next_wait_in_their_order)
{
    struct join handles[4];

    semaphore.permits = 2;
    for (int i = 0; i < 4; i++)
        start(&handles[i], semaphore_acquire, semaphore_acquire(&semaphore));
    turn();
    check(join(&handles[0]) == 0 && join(&handles[1]) == 0 && semaphore.permits == 0);
    semaphore_release(&semaphore);
    check(join(&handles[2]) == 0);
    turn();
    semaphore_release(&semaphore);
    check(join(&handles[3]) == 0 && semaphore.permits == 0);
    semaphore_release(&semaphore);
    check(semaphore.permits == 1);
}

TEST(a_permit_that_was_given_to_a_task_which_is_cancelled_goes_to_the_next)
{
    struct join handles[2];

    for (int i = 0; i < 2; i++)
        start(&handles[i], semaphore_acquire, semaphore_acquire(&semaphore));
    turn();
    semaphore_release(&semaphore);
    cancel(&handles[0]); /* woken, and dropped before its turn */
    check(join(&handles[1]) == 0);
    check(semaphore.permits == 0);
}

/* ---- stopped, and AWAIT_UNTIL ------------------------------------------------------ */

struct until {
    struct future future;
    struct async async;
    struct future *work, *other;
};

static long until_poll(struct future *future, struct waker *waker)
{
    struct until *self = (struct until *)future;
    long number;

    ASYNC_BEGIN;
    AWAIT_UNTIL(number, self->work, self->other);
    ASYNC_END;
    return number;
}
ASYNC_VTABLE(until);

static struct until until(struct future *work, struct future *other)
{
    return (struct until){.future = {&until_vtable}, .work = work, .other = other};
}

static struct stopped stop; /* a task may outlive the test */
static struct probe work;

TEST(work_that_is_ready_counts_more_than_the_stop)
{
    one.on_poll = ready;
    work = probe(&one);
    stop = stopped();
    stop_now();
    check(stop_requested());
    check(await(until, until(&work.future, &stop.future)) == 7);
}

TEST(work_that_waits_is_dropped_when_the_runtime_is_stopped)
{
    work = probe(&one);
    stop = stopped();
    start(&two.handle, until, until(&work.future, &stop.future));
    turn();
    check(one.polls == 1 && one.drops == 0);
    stop_now();
    check(join(&two.handle) == INTERRUPTED);
    check(one.drops == 1);
}

TEST(what_ends_the_wait_may_be_used_again_while_it_is_pending)
{
    struct sleep sleep = sleep_for(1), again = sleep_for(FOREVER);

    stop = stopped();
    check(await(until, until(&sleep.future, &stop.future)) == 0);
    start(&two.handle, until, until(&again.future, &stop.future));
    turn();
    stop_now();
    check(join(&two.handle) == INTERRUPTED);
}

/* A used-up budget is not "nothing there". */
TEST(work_that_has_used_up_its_budget_is_not_stopped)
{
    struct bell waiting = bell();

    pair_open(&pair);
    check(say(&pair, "x") == 1);
    turn();
    struct tcp_read read = tcp_read(&pair.stream, buffer, 1);
    stop = stopped();
    struct until both = until(&read.future, &stop.future);
    stop_now();
    coop_budget = 0;
    check(future_poll(&both.future, &waiting.waker) == PENDING);
    check(waiting.rung > 0);
    coop_budget = COOP_BUDGET;
    check(future_poll(&both.future, &waiting.waker) == 1);
    pair_close(&pair);
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

/* ---- the two signals --------------------------------------------------------------- */

TEST(sigterm_stops_all_who_wait_for_the_stop)
{
    stop_on_signals();
    start(&one.handle, stopped, stopped());
    start(&two.handle, stopped, stopped());
    signal_soon(SIGTERM);
    check(join(&one.handle) == 0 && join(&two.handle) == 0);
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

/* ---- open and close ---------------------------------------------------------------- */

TEST(a_stream_that_outlives_block_on_can_be_closed)
{
    char byte;

    pair_open_tcp(&pair);
    check(say(&pair, "a") == 1);
    check(await(tcp_read, tcp_read(&pair.stream, &byte, 1)) == 1);
    pair_close(&pair);
}

TEST(two_runtimes_one_after_the_other_share_nothing)
{
    for (int i = 0; i < 3; i++) {
        stop_on_signals();
        check(!stop_requested());
        one = two = (struct counts){0};
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
