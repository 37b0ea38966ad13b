/* leaves.c: what every leaf must do, asked of each in turn. See unit.h. */
#define _GNU_SOURCE
#include "unit.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tcp_listener listener = {{.fd = -1}};
static struct inbox inbox = {.event.fd = -1};
static struct notify notify;
static struct semaphore semaphore;
static struct address here, peer;
static struct message message, *received;
static char byte;
static atomic_bool go;

static union inner { /* what a combinator awaits; the first of two leaves, the second */
    struct tcp_read read;
    struct sleep sleep;
} inner[2];

static struct future *a_read(int i)
{
    inner[i].read = tcp_read(&pair.stream, &byte, 1);
    return &inner[i].read.future;
}

static struct future *a_long_sleep(int i)
{
    inner[i].sleep = sleep_for(FOREVER);
    return &inner[i].sleep.future;
}

static void full_pair(void)
{
    pair_open();
    pair_fill();
}

static void two_connections(void)
{
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(connect(fd, &here.any, sizeof here.v4) == 0);
    }
    (void)poll(&(struct pollfd){listener.source.fd, POLLIN, 0}, 1, -1);
}

static long work(void *argument)
{
    while (!go)
        (void)usleep(100);
    return argument != NULL;
}

static void work_ends(void)
{
    go = true;
    while (events_written == 0)
        (void)usleep(100);
}

/* ---- the leaves -------------------------------------------------------------------- */

enum sharing { ONE, EACH_ITS_OWN, ALL };

/* LEAF(its type, its name, whether two can wait: no; for two events; for the same event,
 *      what must be there before, the leaf itself, what makes its event happen) */
#define LEAVES                                                                           \
    LEAF(tcp_read, read, ALL, pair_open(), tcp_read(&pair.stream, &byte, 1), say("ab"))  \
    LEAF(tcp_read, drain, ALL, pair_open(), tcp_drain(&pair.stream, &byte, 1),           \
         check(shutdown(pair.other, SHUT_WR) == 0))                                      \
    LEAF(tcp_write_all, write_all, ALL, full_pair(),                                     \
         tcp_write_all(&pair.stream, "x", 1), check(hear() > 0))                         \
    LEAF(tcp_accept, accept, ALL, tcp_listen(&listener, "127.0.0.1", 0, &here),          \
         tcp_accept(&listener, &peer), two_connections())                                \
    LEAF(tcp_idle, idle, ALL, pair_open(), tcp_idle(a_read(i), &pair.stream, 9000),      \
         say("ab"))                                                                      \
    LEAF(sleep, sleep, EACH_ITS_OWN, , sleep_for(9000), pass(20000))                     \
    LEAF(timeout, timeout, EACH_ITS_OWN, , timeout(a_long_sleep(i), 9000), pass(20000))  \
    LEAF(join, join, ONE, spawn_probe(&one), one.handle, one.on_poll = ready;            \
         wake(&one))                                                                     \
    LEAF(tasks_drained, drained, ALL, start(NULL, probe, probe(&one)); turn(),           \
         tasks_drained(), one.on_poll = ready; wake(&one))                               \
    LEAF(notified, notified, ALL, , notified(&notify), notify_all(&notify))              \
    LEAF(semaphore_acquire, acquire, ALL, , semaphore_acquire(&semaphore),               \
         semaphore_release(&semaphore); semaphore_release(&semaphore))                   \
    LEAF(stopped, stopped, ALL, , stopped(), stop_now())                                 \
    LEAF(inbox_receive, receive, ALL, check(inbox_open(&inbox) == 0),                    \
         inbox_receive(&inbox, &received), inbox_send(&inbox, &message))                 \
    LEAF(offload, offload, EACH_ITS_OWN, , offload(work, NULL), work_ends())

static union any {
    struct future future; /* the first member of each */
#define LEAF(type, name, ...) struct type name;
    LEAVES
#undef LEAF
} them[2];

#define LEAF(type, name, sharing, before, value, event)                                  \
    static void before_##name(void)                                                      \
    {                                                                                    \
        before;                                                                          \
    }                                                                                    \
    static void make_##name(int i)                                                       \
    {                                                                                    \
        (void)i;                                                                         \
        them[i].name = value;                                                            \
    }                                                                                    \
    static void cause_##name(void)                                                       \
    {                                                                                    \
        event;                                                                           \
    }
LEAVES
#undef LEAF

static const struct leaf {
    const char *name;
    enum sharing sharing;
    void (*before)(void);
    void (*make)(int i); /* in them[i] */
    void (*cause)(void);
} leaves[] = {
#define LEAF(type, name, sharing, ...) \
    {#name, sharing, before_##name, make_##name, cause_##name},
    LEAVES
#undef LEAF
};

/* ---- the questions ----------------------------------------------------------------- */

static struct bell bells[2];

/* Each leaf begins with a new runtime. */
static void ask_all(void (*question)(const struct leaf *leaf), enum sharing least)
{
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        if (leaves[i].sharing < least)
            continue;
        about = leaves[i].name;
        one = two = (struct counts){0};
        notify = (struct notify){0};
        semaphore = (struct semaphore){0};
        go = false;
        events_written = 0;
        bells[0] = bells[1] = (struct bell){{ring}, 0};
        leaves[i].before();
        leaves[i].make(0);
        question(&leaves[i]);
        future_drop(&them[0].future);
        future_drop(&them[1].future);
        pair_close();
        tcp_listener_close(&listener);
        inbox_close(&inbox);
        runtime_close();
        check(runtime_open() == 0);
    }
}

#define OF_EVERY_LEAF(question, least_sharing)                                           \
    static void ask_##question(const struct leaf *leaf);                                 \
    TEST(question)                                                                       \
    {                                                                                    \
        ask_all(ask_##question, least_sharing);                                          \
    }                                                                                    \
    static void ask_##question(const struct leaf *leaf)

static long poll_with(int i, struct bell *its)
{
    return future_poll(&them[i].future, &its->waker);
}

static void make_it_happen(const struct leaf *leaf)
{
    leaf->cause();
    turns(3);
}

static void drop(int i)
{
    future_drop(&them[i].future);
    memset(&them[i], 0xee, sizeof them[i]); /* whoever still looks at it will crash */
    memset(&inner[i], 0xee, sizeof inner[i]);
    them[i].future.vtable = NULL;
}

OF_EVERY_LEAF(the_waker_of_the_last_poll_counts, ONE)
{
    check(poll_with(0, &bells[0]) == PENDING);
    check(poll_with(0, &bells[1]) == PENDING);
    make_it_happen(leaf);
    check(bells[0].rung == 0 && bells[1].rung > 0);
    check(poll_with(0, &bells[1]) != PENDING);
}

OF_EVERY_LEAF(dropping_a_leaf_that_was_never_polled_takes_no_others_waker, EACH_ITS_OWN)
{
    leaf->make(1);
    check(poll_with(0, &bells[0]) == PENDING);
    drop(1);
    make_it_happen(leaf);
    check(bells[0].rung > 0);
    check(poll_with(0, &bells[0]) != PENDING);
}

OF_EVERY_LEAF(a_leaf_that_is_dropped_while_it_waits_is_on_no_list, ONE)
{
    struct bell *gone = malloc(sizeof *gone);

    *gone = bells[0];
    check(poll_with(0, gone) == PENDING);
    future_drop(&them[0].future);
    drop(0);
    memset(gone, 0xee, sizeof *gone);
    free(gone);
    make_it_happen(leaf);
}

OF_EVERY_LEAF(an_event_wakes_all_who_wait_for_it, ALL)
{
    leaf->make(1);
    check(poll_with(0, &bells[0]) == PENDING);
    check(poll_with(1, &bells[1]) == PENDING);
    make_it_happen(leaf);
    check(bells[0].rung > 0 && bells[1].rung > 0);
}

ON_POLL(poll_first, return future_poll(&them[0].future, waker))

static void drop_first(struct counts *its)
{
    (void)its;
    drop(0);
}

OF_EVERY_LEAF(a_task_that_is_cancelled_while_it_waits_is_polled_no_more, ONE)
{
    two = (struct counts){.on_poll = poll_first, .on_drop = drop_first};
    spawn_probe(&two);
    task_cancel(&two.handle);
    check(join(&two.handle) == CANCELLED);
    make_it_happen(leaf);
    check(two.polls == 1 && two.drops == 1);
}

OF_EVERY_LEAF(a_leaf_that_need_not_wait_asks_the_budget, ONE)
{
    check(poll_with(0, &bells[0]) == PENDING);
    make_it_happen(leaf);
    coop_budget = -2 * COOP_BUDGET;
    check(poll_with(0, &bells[1]) == PENDING);
    check(bells[1].rung == 1);
    coop_budget = COOP_BUDGET;
    check(poll_with(0, &bells[1]) != PENDING);
}

OF_EVERY_LEAF(a_leaf_beside_work_that_uses_up_every_turn_is_asked_all_the_same, ONE)
{
    struct probe busy = probe(&two);
    struct until both = until(&busy.future, &them[0].future);
    long number = PENDING;

    two.on_poll = use_up;
    coop_budget = 0; /* the work has had no turn yet, so its PENDING means nothing */
    check(poll_by_hand(both) == PENDING);
    coop_budget = COOP_BUDGET;
    check(poll_by_hand(both) == PENDING);
    make_it_happen(leaf);
    for (int i = 0; i < 3 && number == PENDING; i++) {
        coop_budget = COOP_BUDGET;
        number = poll_by_hand(both);
    }
    check(number == INTERRUPTED);
}
