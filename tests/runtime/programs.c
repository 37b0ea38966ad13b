/* programs.c: the tasks that run on the fake kernel. See fake_kernel.h. */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include <string.h>

#include "inbox.h"
#include "net.h"
#include "runtime.h"
#include "stop.h"
#include "task.h"
#include "timer.h"

static struct scenario scenario;
static unsigned char scratch[2]; /* enough to come to every limit */
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

/* ---- the tasks --------------------------------------------------------------------- */

/* All are of one type, so that what must be true of every task is said once. */
struct program {
    struct future future;
    long (*body)(struct program *self, struct waker *waker);
    int number; /* of the task, and of its peer */
    struct async async;
    struct tcp_stream stream;
    struct stopped stopped;
    struct tcp_read read;
    struct timeout limit;
    int64_t due; /* the limit */
    struct tcp_write_all write_all;
    struct inbox_receive receive;
    struct message *message;
};

static long program_poll(struct future *future, struct waker *waker)
{
    struct program *self = (struct program *)future;

    must(!tasks[self->number].dropped, "a task is polled after its end");
    tasks[self->number].owed_poll = false;
    tasks[self->number].waker = waker;
    return self->body(self, waker);
}

static void program_drop(struct future *future)
{
    struct program *self = (struct program *)future;

    must(!tasks[self->number].dropped, "a task is dropped twice");
    tasks[self->number].dropped = true;
    tasks[self->number].owed_poll = false;
    async_drop(&self->async);
    future_drop(&self->stopped.future);
    tcp_stream_close(&self->stream);
}

static void begin(long (*body)(struct program *self, struct waker *waker), int fd)
{
    static const struct future_vtable vtable = {program_poll, program_drop};
    struct program program = {.future = {&vtable},
                              .body = body,
                              .number = task_count++,
                              .stream = tcp_stream_from(fd)};

    tasks[program.number].owed_poll = true;
    must(spawn_joinable(program, &tasks[program.number].handle) == 0,
         "a task cannot be started");
}

/* ---- an echo ----------------------------------------------------------------------- */

static void must_be_late(const struct program *self)
{
    const struct peer *peer = &world.peers[self->number];
    bool speaks = peer->said > peer->read || peer->ended;

    must(world.clock >= self->due, "a limit ran out too early");
    must(!speaks || peer->said_at >= self->due,
         "a limit ran out although the peer had spoken in time");
}

static long serve(struct program *self, struct waker *waker)
{
    long length, error;

    ASYNC_BEGIN;
    error = tcp_stream_register(&self->stream);
    must(error == 0, "a stream cannot be registered");
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

/* ---- receives what another thread sends; joins the first task ---------------------- */

static long receive(struct program *self, struct waker *waker)
{
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

static long join_first(struct program *self, struct waker *waker)
{
    long number;

    ASYNC_BEGIN;
    tasks[0].handle.cancels = true;
    AWAIT_AT(number, &tasks[0].handle.future);
    must(number == 0 || (number == CANCELLED && tasks[0].was_cancelled),
         "join has the wrong number");
    ASYNC_END;
    return 0;
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
    scenario = *wanted;
    memset(tasks, 0, sizeof tasks);
    task_count = sent = received = 0;
    world_begin(&scenario);
    must(runtime_open() == 0 && inbox_open(&inbox) == 0, "the runtime does not open");
    for (int i = 0; i < scenario.peers; i++)
        begin(serve, world.peers[i].fd);
    if (scenario.messages > 0)
        begin(receive, -1);
    if (scenario.joins)
        begin(join_first, -1);
    struct tasks_drained drained = tasks_drained();
    (void)block_on(&drained.future);
    for (int i = 0; i < task_count; i++)
        check_end_of(i);
    world.left.messages = 0; /* the other thread has ended, too */
    inbox_close(&inbox);
    runtime_close();
    world_end();
}
