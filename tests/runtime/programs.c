/* programs.c: the tasks that run on the fake kernel. See fake_kernel.h. */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include "inbox.h"
#include "net.h"
#include "runtime.h"
#include "sync.h"
#include "task.h"
#include "timer.h"

#define SCRATCH 2 /* two bytes are enough to come to every limit */

static struct {
    struct join handle;
    struct waker *waker; /* of its last poll */
    bool started, owed_poll, dropped, was_cancelled;
    int polls;
} tasks[MOST_TASKS];
static int task_count;

static struct scenario scenario;
static unsigned char scratch[SCRATCH];
static struct notify notify;
static int over; /* peers whose task has ended */
static struct inbox inbox;
static struct message messages[8];
static int sent, received;

static void must(bool condition, const char *what)
{
    if (!condition)
        wrong("%s", what);
}

/* ---- async fn serve: an echo ----------------------------------------------------------- */

struct serve {
    struct future future;
    struct async async;
    struct tcp_stream stream;
    struct peer *peer;
    struct tcp_read read;
    struct timeout limit;
    struct tcp_write_all write_all;
};

static void must_be_late(const struct serve *self)
{
    const struct peer *peer = self->peer;
    bool speaks = peer->said > peer->read || peer->ended || peer->reset;

    must(world.clock >= self->limit.sleep.deadline, "a limit ran out too early");
    must(!speaks || peer->said_at >= self->limit.sleep.deadline,
         "a limit ran out although the peer had spoken in time");
}

static long serve_poll(struct future *future, struct waker *waker)
{
    struct serve *self = (struct serve *)future;
    long length, error;

    ASYNC_BEGIN;
    error = tcp_stream_register(&self->stream);
    if (error < 0)
        return error;
    for (;;) {
        self->read = tcp_read(&self->stream, scratch, sizeof scratch);
        if (scenario.limits)
            AWAIT(length, self->limit, timeout(&self->read.future, LIMIT_MS));
        else
            AWAIT_AT(length, &self->read.future);
        if (length == TIMED_OUT)
            must_be_late(self);
        if (length <= 0)
            return length;
        AWAIT(error, self->write_all,
              tcp_write_all(&self->stream, scratch, (size_t)length));
        if (error < 0)
            return error;
    }
    ASYNC_END;
}

static void serve_drop(struct future *future)
{
    struct serve *self = (struct serve *)future;

    async_drop(&self->async);
    tcp_stream_close(&self->stream);
    over++;
    notify_all(&notify);
}

static const struct future_vtable serve_vtable = {serve_poll, serve_drop};

/* ---- async fn receive: what another thread sends ----------------------------------------- */

struct receive {
    struct future future;
    struct async async;
    struct inbox_receive receive;
    struct message *message;
};

static long receive_poll(struct future *future, struct waker *waker)
{
    struct receive *self = (struct receive *)future;
    long error;

    ASYNC_BEGIN;
    while (received < scenario.messages) {
        AWAIT(error, self->receive, inbox_receive(&inbox, &self->message));
        must(error == 0 && self->message == &messages[received],
             "a message is lost, or not in its place");
        tell("message %d is received", ++received);
    }
    ASYNC_END;
    return 0;
}
ASYNC_VTABLE(receive);

/* ---- async fn notice: waits for the ends of all others ------------------------------------- */

struct notice {
    struct future future;
    struct async async;
    struct notified notified;
};

static long notice_poll(struct future *future, struct waker *waker)
{
    struct notice *self = (struct notice *)future;
    long done = 0;

    ASYNC_BEGIN;
    while (over < scenario.peers)
        AWAIT(done, self->notified, notified(&notify));
    ASYNC_END;
    return done;
}
ASYNC_VTABLE(notice);

/* ---- async fn waits: joins the first task, with a handle that cancels ---------------------- */

struct waits {
    struct future future;
    struct async async;
};

static long waits_poll(struct future *future, struct waker *waker)
{
    struct waits *self = (struct waits *)future;
    long number;

    ASYNC_BEGIN;
    tasks[0].handle.cancels = true;
    AWAIT_AT(number, &tasks[0].handle.future);
    must(number == 0 || (number == CANCELLED && tasks[0].was_cancelled),
         "join has the wrong number");
    ASYNC_END;
    return 0;
}

static void waits_drop(struct future *future)
{
    struct waits *self = (struct waits *)future;
    if (self->async.awaited != NULL)
        tasks[0].was_cancelled = true;
    async_drop(&self->async);
}

static const struct future_vtable waits_vtable = {waits_poll, waits_drop};

/* ---- async fn meddle: wakes and cancels the others --------------------------------------- */

struct meddle {
    struct future future;
    struct async async;
    struct sleep sleep;
    int left;
};

static long meddle_poll(struct future *future, struct waker *waker)
{
    struct meddle *self = (struct meddle *)future;
    long done = 0;

    ASYNC_BEGIN;
    while (self->left-- > 0 && done == 0) {
        AWAIT(done, self->sleep, sleep_for(5));
        world_meddles();
    }
    ASYNC_END;
    return done;
}
ASYNC_VTABLE(meddle);

/* ---- async fn accepting ---------------------------------------------------------------------- */

struct accepting {
    struct future future;
    struct async async;
    struct tcp_listener listener;
    struct tcp_accept accept;
    struct address from;
    int count;
};
static void begin_serving(int fd, struct peer *peer);

static long accepting_poll(struct future *future, struct waker *waker)
{
    struct accepting *self = (struct accepting *)future;
    long fd;

    ASYNC_BEGIN;
    if (source_register(&self->listener.source) < 0)
        wrong("the listener cannot be registered");
    while (self->count < scenario.peers) {
        AWAIT(fd, self->accept, tcp_accept(&self->listener, &self->from));
        must(fd >= 0, "accept has failed");
        struct peer *peer = world.peers;
        while (peer->fd != fd)
            peer++;
        begin_serving((int)fd, peer);
        self->count++;
    }
    ASYNC_END;
    return 0;
}

static void accepting_drop(struct future *future)
{
    struct accepting *self = (struct accepting *)future;
    async_drop(&self->async);
    tcp_listener_close(&self->listener);
}

static const struct future_vtable accepting_vtable = {accepting_poll, accepting_drop};

/* ---- a task around each: what must be true of every one ------------------------------------- */

struct watched {
    struct future future;
    int number;
    union {
        struct future body; /* the first member of each */
        struct serve serve;
        struct receive receive;
        struct notice notice;
        struct waits waits;
        struct meddle meddle;
        struct accepting accepting;
    };
};

static long watched_poll(struct future *future, struct waker *waker)
{
    struct watched *self = (struct watched *)future;

    must(!tasks[self->number].dropped, "a task is polled after its end");
    tasks[self->number].owed_poll = false;
    tasks[self->number].waker = waker;
    tasks[self->number].polls++;
    return future_poll(&self->body, waker);
}

static void watched_drop(struct future *future)
{
    struct watched *self = (struct watched *)future;

    must(!tasks[self->number].dropped, "a task is dropped twice");
    tasks[self->number].dropped = true;
    tasks[self->number].owed_poll = false;
    future_drop(&self->body);
}

static void begin(struct watched watched)
{
    static const struct future_vtable vtable = {watched_poll, watched_drop};

    watched.future.vtable = &vtable;
    watched.number = task_count++;
    if (spawn_joinable(watched, &tasks[watched.number].handle) == 0)
        tasks[watched.number].started = tasks[watched.number].owed_poll = true;
    else
        must(tasks[watched.number].dropped, "a task that could not start is not dropped");
}

static void begin_serving(int fd, struct peer *peer)
{
    begin((struct watched){.serve = {
        .future = {&serve_vtable}, .stream = tcp_stream_from(fd), .peer = peer}});
}

/* ---- what the kernel may do to them ---------------------------------------------------------- */

bool task_is_there(int number)
{
    return tasks[number].started && tasks[number].handle.future.vtable != NULL;
}

void task_wake_for_nothing(int number)
{
    if (tasks[number].polls == 0)
        return;
    tell("task %d is woken for nothing", number);
    tasks[number].owed_poll = !tasks[number].dropped;
    tasks[number].waker->wake(tasks[number].waker);
}

void task_cancel_now(int number)
{
    tell("task %d is cancelled", number);
    tasks[number].was_cancelled = true;
    tasks[number].owed_poll = !tasks[number].dropped;
    task_cancel(&tasks[number].handle);
}

void other_thread_sends(void)
{
    tell("another thread sends message %d", sent + 1);
    inbox_send(&inbox, &messages[sent++]);
}

void tasks_must_all_wait(void)
{
    for (int i = 0; i < task_count; i++)
        if (tasks[i].owed_poll)
            wrong("the thread sleeps, and task %d is woken and not polled", i);
}

_Noreturn void tasks_are_stuck(void)
{
    for (int i = 0; i < scenario.peers; i++) {
        const struct peer *peer = &world.peers[i];
        tell("peer %d has said %d%s, %d are read and %d sent back", i, peer->said,
             peer->ended ? " and its end" : "", peer->read, peer->echoed);
    }
    for (int i = 0; i < task_count; i++)
        if (!tasks[i].dropped)
            wrong("the thread sleeps for ever, and task %d waits", i);
    wrong("the thread sleeps for ever, and no task is left");
}

/* ---- one run --------------------------------------------------------------------------------- */

static void check_end_of(int number)
{
    long result = CANCELLED;

    if (tasks[number].handle.future.vtable != NULL)
        result = block_on(&tasks[number].handle.future);
    if (!tasks[number].dropped)
        wrong("task %d is never dropped", number);
    if (result == CANCELLED && !tasks[number].was_cancelled && tasks[number].started &&
        !(scenario.joins && number == 0))
        wrong("task %d says that it was cancelled", number);
    if (result == TIMED_OUT && !scenario.limits)
        wrong("task %d says that it timed out", number);
    if (result != 0 && result > -4096 && world.failures == 0 && !scenario.resets)
        wrong("task %d has failed with %ld", number, result);
    if (result == 0 && number < scenario.peers && !scenario.accepts) {
        const struct peer *peer = &world.peers[number];
        if (!peer->reset && (peer->echoed != scenario.bytes || !peer->ended))
            wrong("task %d has ended after %d bytes", number, peer->echoed);
    }
}

void run(const struct scenario *wanted)
{
    scenario = *wanted;
    for (int i = 0; i < MOST_TASKS; i++)
        tasks[i] = (__typeof__(tasks[0])){0};
    notify = (struct notify){0};
    task_count = over = sent = received = 0;
    world_begin(&scenario);
    must(runtime_open() == 0, "the runtime does not open");
    must(inbox_open(&inbox) == 0, "the inbox does not open");
    if (scenario.accepts)
        begin((struct watched){.accepting = {
            .future = {&accepting_vtable}, .listener = {{.fd = listener_open()}}}});
    for (int i = 0; i < scenario.peers && !scenario.accepts; i++)
        begin_serving(peer_connect(&world.peers[i]), &world.peers[i]);
    if (scenario.messages > 0)
        begin((struct watched){.receive = {.future = {&receive_vtable}}});
    if (scenario.notices)
        begin((struct watched){.notice = {.future = {&notice_vtable}}});
    if (scenario.joins)
        begin((struct watched){.waits = {.future = {&waits_vtable}}});
    if (scenario.wakes + scenario.cancels > 0)
        begin((struct watched){.meddle = {.future = {&meddle_vtable},
                                          .left = scenario.wakes + scenario.cancels}});
    struct tasks_drained drained = tasks_drained();
    (void)block_on(&drained.future);
    for (int i = 0; i < task_count; i++)
        check_end_of(i);
    inbox_close(&inbox);
    runtime_close();
    world_end();
}
