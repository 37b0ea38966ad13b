/* unit_cancel.c: every leaf, cancelled while it waits.
 *
 * Each test starts a task that waits for one leaf, cancels it, and then does what would
 * have woken it. The task must have been dropped once and polled never again. Where a
 * descriptor was involved, its number is given to another stream with another task, and
 * only that one may hear of it. The reactor asserts that nobody waits on a bell that is
 * taken off.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TURN() AWAIT(done, self->yield, yield_now())

static struct counts leaf, inner, second;
static struct tcp_stream stream, accepted;
static struct tcp_listener listener;
static struct notify notify, never;
static struct address here, who;
static struct join handle;
static char buffer[1 << 20];
static int other;

/* ---- the tasks that are cancelled -------------------------------------------------- */

#define LEAF(name, child, made)                                                         \
    BODY(name)                                                                          \
    {                                                                                   \
        long done;                                                                      \
        ASYNC_BEGIN(stage);                                                             \
        AWAIT(done, self->child, made);                                                 \
        ASYNC_END(done);                                                                \
    }

LEAF(wait_to_accept, accept, tcp_accept(&listener, &accepted, &who))
LEAF(wait_to_connect, connect, tcp_connect(&here, &accepted))
LEAF(wait_for_readable, readable, tcp_readable(&stream))
LEAF(wait_to_read, read, tcp_read(&stream, buffer, sizeof buffer))
LEAF(wait_to_write, write_all, tcp_write_all(&stream, buffer, sizeof buffer))
LEAF(wait_for_time, sleep, sleep_for(SOON_MS))
LEAF(wait_for_ctrl_c, ctrl_c, ctrl_c())
LEAF(wait_for_ring, notified, notified(&notify))
LEAF(wait_for_task, waiting, handle)
LEAF(wait_for_turn, yield, yield_now())
LEAF(wait_for_others, others_gone, others_gone())

BODY(wait_for_either)
{
    long done;
    ASYNC_BEGIN(stage);
    self->notified = notified(&notify);
    self->sleep = sleep_for(SOON_MS);
    AWAIT(done, self->race, race(&self->notified.future, &self->sleep.future));
    ASYNC_END(done);
}

BODY(wait_with_limit)
{
    long done;
    ASYNC_BEGIN(stage);
    self->readable = tcp_readable(&stream);
    AWAIT(done, self->timeout, timeout(&self->readable.future, SOON_MS));
    ASYNC_END(done);
}

BODY(work_until_ctrl_c)
{
    long done;
    ASYNC_BEGIN(stage);
    self->read = tcp_read(&stream, buffer, sizeof buffer);
    AWAIT(done, self->until, until_ctrl_c(&self->read.future));
    ASYNC_END(done);
}

/* ---- the test ---------------------------------------------------------------------- */

/* Which task; and what would have woken it. */
static struct poll (*cancelled)(struct future *, struct waker *);
static void (*provoke)(void);

BODY(cancel_and_provoke)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(cancelled, &leaf);
    TURN();
    assert(leaf.polls == 1 && leaf.drops == 0);
    task_cancel(&self->join);
    assert(leaf.drops == 1);
    AWAIT(done, self->waiting, self->join);
    assert(done == -ECANCELED);
    provoke();
    AWAIT(done, self->sleep, sleep_for(SOON_MS + 20));
    assert(leaf.polls == 1 && leaf.drops == 1);
    ASYNC_END(done);
}

static void cancel(struct poll (*body)(struct future *, struct waker *),
                   void (*what_would_wake_it)(void))
{
    cancelled = body;
    provoke = what_would_wake_it;
    assert(run(cancel_and_provoke) == 0);
    assert(leaf.polls == 1 && leaf.drops == 1);
}

/* ---- those that wait for nothing outside ------------------------------------------- */

static void nothing(void)
{
}

static void ring(void)
{
    notify_ring(&notify);
}

static void press_ctrl_c(void)
{
    (void)raise(SIGINT);
}

TEST(cancelled_sleep)
{
    cancel(wait_for_time, nothing);
}

TEST(cancelled_notified)
{
    cancel(wait_for_ring, ring);
    assert(notify.rung); /* kept for the next who waits */
}

TEST(cancelled_race)
{
    cancel(wait_for_either, ring);
    assert(notify.rung);
}

TEST(cancelled_ctrl_c)
{
    cancel(wait_for_ctrl_c, press_ctrl_c);
}

TEST(cancelled_others_gone)
{
    cancel(wait_for_others, nothing); /* two are left after its turn, and then one */
}

/* Its yield has put it into the line: it is cancelled there. */
BODY(cancel_in_line)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(wait_for_turn, &leaf);
    TURN();
    assert(leaf.polls == 1);
    task_cancel(&self->join);
    task_detach(&self->join);
    TURN();
    TURN();
    ASYNC_END(done);
}

TEST(cancelled_yield)
{
    assert(run(cancel_in_line) == 0);
    assert(leaf.polls == 1 && leaf.drops == 1);
}

BODY(cancel_who_joins)
{
    long done;
    ASYNC_BEGIN(stage);
    inner.on_poll = NULL;
    handle = start_probe(&inner);
    self->join = start(wait_for_task, &leaf);
    TURN();
    task_cancel(&self->join); /* drops the handle: the inner one goes on alone */
    task_detach(&self->join);
    assert(leaf.drops == 1 && inner.drops == 0);
    inner.on_poll = ready_at_once;
    inner.waker->wake(inner.waker);
    TURN();
    TURN();
    assert(inner.drops == 1);
    ASYNC_END(done);
}

TEST(cancelled_join)
{
    assert(run(cancel_who_joins) == 0);
    assert(leaf.polls == 1 && leaf.drops == 1 && inner.drops == 1);
}

/* ---- those that wait for a descriptor ---------------------------------------------- */

BODY(second_reads)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->read, tcp_read(&stream, buffer, sizeof buffer));
    ASYNC_END(done);
}

static bool fill; /* so that a write waits */

static void open_second_with_same_number(void)
{
    int first_fd = stream.bell->fd, first_other = other;

    (void)write(other, "late", 4);
    tcp_close(&stream);
    (void)close(other);
    stream = open_stream(&other);
    assert(stream.bell->fd == first_fd && other == first_other);
}

BODY(cancel_and_reuse)
{
    long done;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    while (fill && socket_write(stream.bell->fd, buffer, sizeof buffer) > 0)
        continue;
    self->join = start(cancelled, &leaf);
    TURN();
    assert(leaf.drops == 0);
    self->i = leaf.polls;
    task_cancel(&self->join);
    task_detach(&self->join);
    assert(leaf.drops == 1);
    open_second_with_same_number();
    self->join = start(second_reads, &second);
    AWAIT(done, self->sleep, sleep_for(10));
    assert(second.drops == 0 && leaf.polls == self->i);
    done = write(other, "new", 3);
    assert(done == 3);
    AWAIT(done, self->waiting, self->join);
    assert(done == 3 && memcmp(buffer, "new", 3) == 0);
    assert(leaf.polls == self->i && leaf.drops == 1);
    tcp_close(&stream);
    ASYNC_END(0);
}

static void cancel_and_reuse_of(struct poll (*body)(struct future *, struct waker *))
{
    cancelled = body;
    assert(run(cancel_and_reuse) == 0);
    assert(leaf.drops == 1 && second.drops == 1);
}

TEST(cancelled_readable)
{
    cancel_and_reuse_of(wait_for_readable);
}

TEST(cancelled_read)
{
    cancel_and_reuse_of(wait_to_read);
}

TEST(cancelled_write_all)
{
    fill = true;
    cancel_and_reuse_of(wait_to_write);
}

TEST(cancelled_timeout)
{
    cancel_and_reuse_of(wait_with_limit);
}

TEST(cancelled_until_ctrl_c)
{
    cancel_and_reuse_of(work_until_ctrl_c);
}

/* The same stream, another reader: the bytes are his. */
BODY(cancel_and_read_on)
{
    long done;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    self->join = start(wait_to_read, &leaf);
    TURN();
    TURN();
    task_cancel(&self->join);
    task_detach(&self->join);
    self->join = start(second_reads, &second);
    TURN();
    done = write(other, "all", 3);
    assert(done == 3);
    AWAIT(done, self->waiting, self->join);
    tcp_close(&stream);
    ASYNC_END(done);
}

TEST(cancelled_read_has_taken_nothing)
{
    assert(run(cancel_and_read_on) == 3);
    assert(leaf.drops == 1 && second.drops == 1);
}

/* ---- the door ---------------------------------------------------------------------- */

BODY(cancel_accept)
{
    static int guest;
    long done;
    int door, error;
    ASYNC_BEGIN(stage);
    door = open_door(&here);
    error = tcp_listener_from(&listener, door);
    assert(error == 0);
    self->join = start(wait_to_accept, &leaf);
    TURN();
    assert(leaf.polls == 1);
    task_cancel(&self->join);
    task_detach(&self->join);
    guest = visit(&here);
    AWAIT(done, self->sleep, sleep_for(5));
    assert(leaf.polls == 1 && leaf.drops == 1);
    AWAIT(done, self->accept, tcp_accept(&listener, &accepted, &who)); /* still there */
    assert(done == 0);
    tcp_close(&accepted);
    tcp_listener_close(&listener);
    (void)close(guest);
    ASYNC_END(0);
}

TEST(cancelled_accept)
{
    assert(run(cancel_accept) == 0);
}

BODY(cancel_connect)
{
    static int door, lowest;
    long done;
    ASYNC_BEGIN(stage);
    door = open_door(&here);
    lowest = dup(door);
    (void)close(lowest);
    self->join = start(wait_to_connect, &leaf);
    TURN();
    assert(leaf.polls == 1);
    task_cancel(&self->join);
    task_detach(&self->join);
    assert(accepted.bell == NULL);
    stream = open_stream(&other); /* the number that the connection had */
    assert(stream.bell->fd == lowest || other == lowest);
    self->join = start(second_reads, &second);
    AWAIT(done, self->sleep, sleep_for(10));
    assert(leaf.polls == 1 && leaf.drops == 1 && second.drops == 0);
    task_cancel(&self->join);
    task_detach(&self->join);
    tcp_close(&stream);
    (void)close(door);
    ASYNC_END(0);
}

TEST(cancelled_connect)
{
    assert(run(cancel_connect) == 0);
}

/* ---- never polled ------------------------------------------------------------------ */

TEST(dropped_before_the_first_poll)
{
    struct notified ring_of = notified(&never);
    struct sleep sleep = sleep_for(5);
    struct tcp_connect connect = tcp_connect(&here, &accepted);
    struct timeout limit = timeout(&ring_of.future, 5);
    struct race both = race(&limit.future, &sleep.future);

    future_drop(&both.future);
    future_drop(&connect.future);
}
