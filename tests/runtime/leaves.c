/* leaves.c: what every leaf must do, asked of each in turn. See unit.h.
 *
 * A leaf waits for an event. Here each is set up so that its event has not happened yet;
 * cause() makes it happen.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pair pair;
static struct tcp_listener listener;
static struct address here, peer;
static struct notify notify;
static struct semaphore semaphore;
static struct counts counts;
static struct inbox inbox;
static struct message message, *received;
static char byte;
static atomic_bool go;

/* Any future, and what it awaits. */
union any {
    struct future future; /* the first member of each */
    struct tcp_read read;
    struct tcp_write_all write_all;
    struct tcp_accept accept;
    struct sleep sleep;
    struct notified notified;
    struct join join;
    struct tasks_drained drained;
    struct stopped stopped;
    struct semaphore_acquire acquire;
    struct inbox_receive receive;
    struct offload offload;
    struct timeout timeout;
    struct tcp_idle idle;
};
static union any first, second, inner[2];

/* ---- the leaves -------------------------------------------------------------------- */

static long work(void *argument)
{
    (void)argument;
    while (!go)
        (void)usleep(1000);
    return 0;
}

/* What a combinator awaits. */
static struct future *inner_read(union any *at)
{
    union any *its = &inner[at == &second];
    its->read = tcp_read(&pair.stream, &byte, 1);
    return &its->future;
}

static struct future *inner_sleep(union any *at)
{
    union any *its = &inner[at == &second];
    its->sleep = sleep_for(FOREVER);
    return &its->future;
}

#define DO(name, ...)                                                                    \
    static void name(void)                                                               \
    {                                                                                    \
        __VA_ARGS__;                                                                     \
    }
DO(nothing, (void)0)
DO(a_stream, pair_open(&pair))
DO(a_full_stream, pair_open(&pair); pair_fill(&pair))
DO(a_listener, tcp_listen(&listener, "127.0.0.1", 0, &here))
DO(an_inbox, check(inbox_open(&inbox) == 0))
DO(a_task, start(&counts.handle, probe, probe(&counts)); turn())
DO(a_detached_task, start(NULL, probe, probe(&counts)); turn())

DO(data, check(say(&pair, "ab") == 2))
DO(the_end_of_input, check(shutdown(pair.other, SHUT_WR) == 0))
DO(room, check(hear(&pair) > 0))
DO(connections, connect_to(&here); connect_to(&here))
DO(a_message, inbox_send(&inbox, &message))
DO(the_end, counts.on_poll = ready; wake(&counts))
DO(a_notification, notify_all(&notify))
DO(permits, semaphore_release(&semaphore); semaphore_release(&semaphore))
DO(time_passes, pass(20000))
DO(a_result, go = true)

#define LEAF(name, value)                                                                \
    static void make_##name(union any *at)                                               \
    {                                                                                    \
        at->name = value;                                                                \
    }
LEAF(read, tcp_read(&pair.stream, &byte, 1))
LEAF(write_all, tcp_write_all(&pair.stream, "x", 1))
LEAF(accept, tcp_accept(&listener, &peer))
LEAF(sleep, sleep_for(10000))
LEAF(notified, notified(&notify))
LEAF(join, counts.handle)
LEAF(drained, tasks_drained())
LEAF(stopped, stopped())
LEAF(acquire, semaphore_acquire(&semaphore))
LEAF(receive, inbox_receive(&inbox, &received))
LEAF(offload, offload(work, NULL))
LEAF(timeout, timeout(inner_sleep(at), 10000))
LEAF(idle, tcp_idle(inner_read(at), &pair.stream, 10000))

static void make_drain(union any *at)
{
    at->read = tcp_drain(&pair.stream, &byte, 1);
}

enum sharing { ONE, EACH_ITS_OWN, ALL };
static const struct leaf {
    const char *name;
    void (*prepare)(void);
    void (*make)(union any *at);
    void (*cause)(void);
    enum sharing sharing; /* for two of them: impossible; two events; the same event */
} leaves[] = {
    {"tcp_read", a_stream, make_read, data, ALL},
    {"tcp_drain", a_stream, make_drain, the_end_of_input, ALL},
    {"tcp_write_all", a_full_stream, make_write_all, room, ALL},
    {"tcp_accept", a_listener, make_accept, connections, ALL},
    {"tcp_idle", a_stream, make_idle, data, ALL},
    {"sleep", nothing, make_sleep, time_passes, EACH_ITS_OWN},
    {"timeout", nothing, make_timeout, time_passes, EACH_ITS_OWN},
    {"join", a_task, make_join, the_end, ONE},
    {"tasks_drained", a_detached_task, make_drained, the_end, ALL},
    {"notified", nothing, make_notified, a_notification, ALL},
    {"semaphore_acquire", nothing, make_acquire, permits, ALL},
    {"stopped", nothing, make_stopped, stop_now, ALL},
    {"inbox_receive", an_inbox, make_receive, a_message, ALL},
    {"offload", nothing, make_offload, a_result, EACH_ITS_OWN},
};

/* ---- the questions ----------------------------------------------------------------- */

/* Each leaf begins with a new runtime. */
static void ask_all(void (*question)(const struct leaf *leaf), enum sharing least)
{
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        if (leaves[i].sharing < least)
            continue;
        about = leaves[i].name;
        counts = (struct counts){0};
        notify = (struct notify){0};
        semaphore = (struct semaphore){0};
        go = false;
        pair.other = pair.stream.source.fd = inbox.event.fd = listener.source.fd = -1;
        leaves[i].prepare();
        question(&leaves[i]);
        future_drop(&first.future);
        future_drop(&second.future);
        pair_close(&pair);
        tcp_listener_close(&listener);
        inbox_close(&inbox);
        runtime_close();
        check(runtime_open() == 0);
    }
}

static void make_it_happen(const struct leaf *leaf)
{
    leaf->cause();
    for (int i = 0; i < 3; i++) /* a helper thread and a task that ends take a while */
        (void)await(sleep, sleep_for(10));
}

static void forget(union any *any)
{
    memset(any, 0xee, sizeof *any); /* whoever still looks at it will crash */
    any->future.vtable = NULL;
}

static void ask_for_last_waker(const struct leaf *leaf)
{
    struct bell once = bell(), then = bell();

    leaf->make(&first);
    check(future_poll(&first.future, &once.waker) == PENDING);
    check(future_poll(&first.future, &then.waker) == PENDING);
    make_it_happen(leaf);
    check(once.rung == 0 && then.rung > 0);
    check(future_poll(&first.future, &then.waker) != PENDING);
}

TEST(the_waker_of_the_last_poll_counts)
{
    ask_all(ask_for_last_waker, ONE);
}

static void ask_beside_one_never_polled(const struct leaf *leaf)
{
    struct bell waiting = bell();

    leaf->make(&first);
    leaf->make(&second);
    check(future_poll(&first.future, &waiting.waker) == PENDING);
    future_drop(&second.future);
    forget(&second);
    make_it_happen(leaf);
    check(waiting.rung > 0);
    check(future_poll(&first.future, &waiting.waker) != PENDING);
}

TEST(dropping_a_leaf_that_was_never_polled_takes_no_others_waker)
{
    ask_all(ask_beside_one_never_polled, EACH_ITS_OWN);
}

static void ask_after_drop(const struct leaf *leaf)
{
    struct bell *gone = malloc(sizeof *gone);

    *gone = bell();
    leaf->make(&first);
    check(future_poll(&first.future, &gone->waker) == PENDING);
    future_drop(&first.future);
    future_drop(&first.future);
    forget(&first);
    memset(inner, 0xee, sizeof inner);
    memset(gone, 0xee, sizeof *gone);
    free(gone);
    make_it_happen(leaf);
}

TEST(a_leaf_that_is_dropped_while_it_waits_is_on_no_list)
{
    ask_all(ask_after_drop, ONE);
}

static void ask_two(const struct leaf *leaf)
{
    struct bell one = bell(), other = bell();

    leaf->make(&first);
    leaf->make(&second);
    check(future_poll(&first.future, &one.waker) == PENDING);
    check(future_poll(&second.future, &other.waker) == PENDING);
    make_it_happen(leaf);
    check(one.rung > 0 && other.rung > 0);
}

TEST(an_event_wakes_all_who_wait_for_it)
{
    ask_all(ask_two, ALL);
}

static long poll_first(struct counts *its, struct waker *waker)
{
    (void)its;
    return future_poll(&first.future, waker);
}

static void drop_first(struct counts *its)
{
    (void)its;
    future_drop(&first.future);
    forget(&first);
}

static void ask_to_cancel(const struct leaf *leaf)
{
    static struct counts task;

    task = (struct counts){.on_poll = poll_first, .on_drop = drop_first};
    leaf->make(&first);
    start(&task.handle, probe, probe(&task));
    turn();
    task_cancel(&task.handle);
    check(join(&task.handle) == CANCELLED);
    check(task.polls == 1 && task.drops == 1);
    make_it_happen(leaf);
    check(task.polls == 1 && task.drops == 1);
}

TEST(a_task_that_is_cancelled_while_it_waits_is_polled_no_more)
{
    ask_all(ask_to_cancel, ONE);
}

static void ask_without_budget(const struct leaf *leaf)
{
    struct bell waiting = bell();

    leaf->make(&first);
    check(future_poll(&first.future, &waiting.waker) == PENDING);
    make_it_happen(leaf);
    waiting = bell();
    coop_budget = -2 * COOP_BUDGET;
    check(future_poll(&first.future, &waiting.waker) == PENDING);
    check(waiting.rung == 1);
    coop_budget = COOP_BUDGET;
    check(future_poll(&first.future, &waiting.waker) != PENDING);
}

TEST(a_leaf_that_need_not_wait_asks_the_budget)
{
    ask_all(ask_without_budget, ONE);
}

/* ---- beside work that uses up every turn ------------------------------------------- */

struct beside {
    struct future future;
    struct async async;
    struct future busy;
};

static long busy_poll(struct future *future, struct waker *waker)
{
    (void)future;
    while (coop_proceed(waker, 0))
        continue;
    return PENDING;
}

static long beside_poll(struct future *future, struct waker *waker)
{
    struct beside *self = (struct beside *)future;
    long number;

    ASYNC_BEGIN;
    AWAIT_UNTIL(number, &self->busy, &first.future);
    ASYNC_END;
    return number;
}
ASYNC_VTABLE(beside);

static void ask_beside_busy_work(const struct leaf *leaf)
{
    static const struct future_vtable busy_vtable = {busy_poll, NULL};
    struct beside beside = {{&beside_vtable}, {0}, {&busy_vtable}};
    struct bell waiting = bell();
    long number = PENDING;

    leaf->make(&first);
    coop_budget = 0; /* the work has had no turn yet, so its PENDING means nothing */
    check(future_poll(&beside.future, &waiting.waker) == PENDING);
    coop_budget = COOP_BUDGET;
    check(future_poll(&beside.future, &waiting.waker) == PENDING);
    make_it_happen(leaf);
    for (int turns = 0; turns < 3 && number == PENDING; turns++) {
        coop_budget = COOP_BUDGET;
        number = future_poll(&beside.future, &waiting.waker);
    }
    check(number == INTERRUPTED);
}

TEST(a_leaf_beside_work_that_uses_up_every_turn_is_asked_all_the_same)
{
    ask_all(ask_beside_busy_work, ONE);
}
