/* programs.c: the tasks that run on the fake kernel. See fake_kernel.h. */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include "inbox.h"
#include "net.h"
#include "runtime.h"
#include "stop.h"
#include "sync.h"
#include "task.h"
#include "timer.h"

static struct scenario scenario;
static unsigned char scratch[2]; /* enough to come to every limit */
static struct semaphore semaphore;
static int serving; /* tasks with a permit */
static struct inbox inbox;
static struct message messages[8];
static int sent, received;

static struct {
    struct join handle;
    struct waker *waker; /* of its last poll */
    bool owed_poll, dropped, was_cancelled;
} tasks[MOST_TASKS];
static int task_count;

static void must(bool condition, const char *what)
{
    if (!condition)
        wrong("%s", what);
}

/* ---- async fn serve: an echo ------------------------------------------------------- */

struct serve {
    struct future future;
    struct async async;
    struct peer *peer;
    struct tcp_stream stream;
    bool permitted; /* by the semaphore */
    struct semaphore_acquire acquire;
    struct stopped stopped;
    struct tcp_read read;
    struct timeout limit;
    int64_t due; /* the limit */
    struct tcp_write_all write_all;
};

static void must_be_late(const struct serve *self)
{
    bool speaks = self->peer->said > self->peer->read || self->peer->ended;

    must(world.clock >= self->due, "a limit ran out too early");
    must(!speaks || self->peer->said_at >= self->due,
         "a limit ran out although the peer had spoken in time");
}

static long serve_poll(struct future *future, struct waker *waker)
{
    struct serve *self = (struct serve *)future;
    long length, error;

    ASYNC_BEGIN;
    error = tcp_stream_register(&self->stream);
    must(error == 0, "a stream cannot be registered");
    if (scenario.permits > 0) {
        AWAIT(error, self->acquire, semaphore_acquire(&semaphore));
        self->permitted = true;
        must(++serving <= scenario.permits, "more go on than there are permits");
    }
    self->stopped = stopped();
    for (;;) {
        self->read = tcp_read(&self->stream, scratch, sizeof scratch);
        self->due = world.clock + LIMIT_MS;
        if (scenario.limits)
            AWAIT(length, self->limit, timeout(&self->read.future, LIMIT_MS));
        else if (!stop_requested())
            AWAIT_UNTIL(length, &self->read.future, &self->stopped.future);
        else
            AWAIT_AT(length, &self->read.future);
        if (length == INTERRUPTED)
            continue;
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
    future_drop(&self->stopped.future);
    if (self->permitted) {
        serving--;
        semaphore_release(&semaphore);
    }
    tcp_stream_close(&self->stream);
}

static const struct future_vtable serve_vtable = {serve_poll, serve_drop};

/* ---- async fn receive: what another thread sends ----------------------------------- */

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

/* ---- async fn wait: joins the first task, with a handle that cancels --------------- */

struct wait {
    struct future future;
    struct async async;
};

static long wait_poll(struct future *future, struct waker *waker)
{
    struct wait *self = (struct wait *)future;
    long number;

    ASYNC_BEGIN;
    tasks[0].handle.cancels = true;
    AWAIT_AT(number, &tasks[0].handle.future);
    must(number == 0 || (number == CANCELLED && tasks[0].was_cancelled),
         "join has the wrong number");
    ASYNC_END;
    return 0;
}
ASYNC_VTABLE(wait);

/* ---- async fn meddle: wakes and cancels the others --------------------------------- */

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

/* ---- a task around each: what must be true of every one ---------------------------- */

struct watched {
    struct future future;
    int number;
    union {
        struct future body; /* the first member of each */
        struct serve serve;
        struct receive receive;
        struct wait wait;
        struct meddle meddle;
    };
};

static long watched_poll(struct future *future, struct waker *waker)
{
    struct watched *self = (struct watched *)future;

    must(!tasks[self->number].dropped, "a task is polled after its end");
    tasks[self->number].owed_poll = false;
    tasks[self->number].waker = waker;
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
    int number = task_count++;

    watched.future.vtable = &vtable;
    watched.number = number;
    tasks[number].owed_poll = true;
    must(spawn_joinable(watched, &tasks[number].handle) == 0, "a task cannot be started");
}

/* ---- what the kernel may do to them ------------------------------------------------ */

bool task_is_there(int number)
{
    return tasks[number].waker != NULL && tasks[number].handle.future.vtable != NULL;
}

void task_wake(int number)
{
    tell("task %d is woken for nothing", number);
    tasks[number].owed_poll = !tasks[number].dropped;
    tasks[number].waker->wake(tasks[number].waker);
}

void task_cancel_now(int number)
{
    tell("task %d is cancelled", number);
    tasks[number].owed_poll = !tasks[number].dropped;
    tasks[number].was_cancelled = tasks[number].was_cancelled || !tasks[number].dropped;
    task_cancel(&tasks[number].handle);
    if (!scenario.joins)
        future_drop(&tasks[number].handle.future); /* its memory goes at its end */
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
    for (int i = 0; i < task_count; i++)
        if (!tasks[i].dropped)
            wrong("the thread sleeps for ever, and task %d waits", i);
    wrong("the thread sleeps for ever, and no task is left");
}

/* ---- one run ----------------------------------------------------------------------- */

/* A task that nobody has cancelled has served its peer to the end. */
static void check_end_of(int number)
{
    must(tasks[number].dropped, "a task is never dropped");
    if (tasks[number].handle.future.vtable == NULL)
        return; /* it was joined, or let go */
    long result = block_on(&tasks[number].handle.future);
    if (result != 0 && !tasks[number].was_cancelled &&
        !(result == TIMED_OUT && scenario.limits))
        wrong("task %d has failed with %ld", number, result);
    if (result == 0 && number < scenario.peers)
        must(world.peers[number].echoed == scenario.bytes && world.peers[number].ended,
             "a task has ended too early");
}

void run(const struct scenario *wanted)
{
    int meddles = wanted->wakes + wanted->cancels + wanted->stops;

    scenario = *wanted;
    for (int i = 0; i < MOST_TASKS; i++)
        tasks[i] = (__typeof__(tasks[0])){0};
    semaphore = (struct semaphore){.permits = scenario.permits};
    serving = task_count = sent = received = 0;
    world_begin(&scenario);
    must(runtime_open() == 0 && inbox_open(&inbox) == 0, "the runtime does not open");
    for (int i = 0; i < scenario.peers; i++)
        begin((struct watched){.serve = {.future = {&serve_vtable},
                                         .peer = &world.peers[i],
                                         .stream = tcp_stream_from(world.peers[i].fd)}});
    if (scenario.messages > 0)
        begin((struct watched){.receive = {.future = {&receive_vtable}}});
    if (scenario.joins)
        begin((struct watched){.wait = {.future = {&wait_vtable}}});
    if (meddles > 0)
        begin((struct watched){.meddle = {.future = {&meddle_vtable}, .left = meddles}});
    struct tasks_drained drained = tasks_drained();
    (void)block_on(&drained.future);
    for (int i = 0; i < task_count; i++)
        check_end_of(i);
    inbox_close(&inbox);
    runtime_close();
    world_end();
}
