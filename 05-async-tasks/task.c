/* task.c: tasks and their queue. See task.h. */
#include "task.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET 128

struct task {
    struct waker waker;        /* first: from a waker we find its task */
    struct task *next_in_line; /* in the run queue */
    /* in the list of all tasks: whom we point to, who points to us */
    struct task *next, **link;
    union {
        struct waker *joiner; /* until it is over: who waits for the end */
        long result;          /* then: its number */
    };
    bool queued;    /* in the run queue: another wake changes nothing */
    bool over;      /* its future is dropped */
    bool detached;  /* there is no handle any more: free it when it is over */
    bool cancelled; /* while it runs: drop it when it lets go */
    bool held;      /* its poll or drop is under way: it may not be freed yet */
    max_align_t future[]; /* the future, moved to here */
};

static _Thread_local struct {
    struct task *first, *last; /* the run queue: first in, first out */
    struct task *all;
    struct task *running;
    int alive;
    struct waker *last_one; /* waits for the others to go */
} tasks;

_Thread_local int task_budget;

static struct future *future_of(struct task *task)
{
    return (struct future *)(void *)task->future;
}

static void task_wake(struct waker *waker)
{
    struct task *task = (struct task *)waker;
    if (task->queued || task->over)
        return;
    task->queued = true;
    task->next_in_line = NULL;
    if (tasks.first == NULL)
        tasks.first = task;
    else
        tasks.last->next_in_line = task;
    tasks.last = task;
}

/* Its memory goes when nobody can reach it: over, no handle, not in the queue, and not
 * somewhere up the stack from here. */
static void free_if_unreachable(struct task *task)
{
    if (task->over && task->detached && !task->queued && !task->held)
        free(task);
}

static void leave_list(struct task *task)
{
    *task->link = task->next;
    if (task->next != NULL)
        task->next->link = task->link;
}

/* The end of every task, whichever way it came. */
static void finish(struct task *task, long result)
{
    struct waker *joiner = task->joiner;

    task->over = true;
    task->result = result;
    leave_list(task);
    if (joiner != NULL)
        joiner->wake(joiner);
    if (--tasks.alive == 1 && tasks.last_one != NULL)
        tasks.last_one->wake(tasks.last_one);
}

/* The end before the time. The drop comes last: it may wake, spawn, cancel, even drop the
 * handle of this very task. */
static void cut_short(struct task *task)
{
    finish(task, -ECANCELED);
    task->held = true;
    future_drop(future_of(task));
    task->held = false;
}

/* One turn. The mark `queued` is off before the poll, so that a wake that comes during
 * the poll leads to one more. */
static void run(struct task *task)
{
    tasks.running = task;
    task_budget = BUDGET;
    task->held = true;
    struct poll answer = future_poll(future_of(task), &task->waker);
    tasks.running = NULL;
    if (answer.ready)
        finish(task, answer.value);
    else if (task->cancelled)
        cut_short(task);
    task->held = false;
    free_if_unreachable(task);
}

bool tasks_run(void)
{
    struct task *turn = tasks.first;

    tasks.first = NULL; /* who is woken from now on has his turn in the next round */
    while (turn != NULL) {
        struct task *task = turn;
        turn = task->next_in_line;
        task->queued = false;
        if (task->over)
            free_if_unreachable(task); /* was cancelled while it stood in line */
        else
            run(task);
    }
    return tasks.first != NULL;
}

bool task_result(const struct task *task, long *result)
{
    if (task->over)
        *result = task->result;
    return task->over;
}

void tasks_wake_all(void)
{
    for (struct task *task = tasks.all; task != NULL; task = task->next)
        task_wake(&task->waker);
}

void tasks_drop(void)
{
    while (tasks.all != NULL) {
        struct task *task = tasks.all;
        cut_short(task);
        assert(tasks.all != task);
        free_if_unreachable(task); /* if it has a handle: when that is dropped */
    }
    (void)tasks_run(); /* all of them are over: frees those who stood in line */
}

/* ---- join -------------------------------------------------------------------------- */

static void join_drop(struct future *future)
{
    struct task *task = ((struct join *)future)->task;
    if (task == NULL)
        return;
    if (!task->over)
        task->joiner = NULL;
    task->detached = true;
    ((struct join *)future)->task = NULL;
    free_if_unreachable(task);
}

static struct poll join_poll(struct future *future, struct waker *waker)
{
    struct task *task = ((struct join *)future)->task;
    if (task == NULL)
        return READY(-ENOMEM);
    if (task->over) {
        long result = task->result;
        join_drop(future);
        return READY(result);
    }
    task->joiner = waker;
    return PENDING;
}

static const struct future_kind join_kind = {join_poll, join_drop};

struct join task_spawn(struct future *future, size_t size)
{
    struct task *task = malloc(sizeof *task + size);
    if (task == NULL) {
        future_drop(future);
        return (struct join){.future.kind = &join_kind};
    }
    *task = (struct task){.waker.wake = task_wake, .next = tasks.all, .link = &tasks.all};
    memcpy(task->future, future, size);
    if (task->next != NULL)
        task->next->link = &task->next;
    tasks.all = task;
    tasks.alive++;
    task_wake(&task->waker);
    return (struct join){.future.kind = &join_kind, .task = task};
}

bool task_detach(struct join *join)
{
    bool there_is_one = join->task != NULL;
    join_drop(&join->future);
    return there_is_one;
}

void task_cancel(struct join *join)
{
    struct task *task = join->task;
    if (task == NULL || task->over)
        return;
    if (task == tasks.running) {
        task->cancelled = true;
    } else {
        cut_short(task);
        free_if_unreachable(task); /* its drop may have let go of this very handle */
    }
}

/* ---- the last one, and whoever steps back ------------------------------------------ */

static struct poll others_gone_poll(struct future *future, struct waker *waker)
{
    bool gone = tasks.alive == 1;
    tasks.last_one = gone ? NULL : waker;
    ((struct others_gone *)future)->waker = waker;
    return gone ? READY(0) : PENDING;
}

static void others_gone_drop(struct future *future)
{
    if (tasks.last_one == ((struct others_gone *)future)->waker)
        tasks.last_one = NULL;
}

struct others_gone others_gone(void)
{
    static const struct future_kind kind = {others_gone_poll, others_gone_drop};
    return (struct others_gone){.future = {&kind}};
}

static struct poll yield_poll(struct future *future, struct waker *waker)
{
    struct yield *self = (struct yield *)future;
    if (self->yielded)
        return READY(0);
    self->yielded = true;
    waker->wake(waker);
    return PENDING;
}

struct yield yield_now(void)
{
    static const struct future_kind kind = {yield_poll, NULL};
    return (struct yield){.future = {&kind}};
}
