/* Step 6: spawn a task, and join it. Grows from 3-tasks.c. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING (-4096L) /* not ready yet: no count, and no -errno */

struct waker {
    void (*wake)(struct waker *waker);
};

struct future {
    long (*poll)(struct future *future, struct waker *waker);
};

/* ---- an echo of some words: one a turn, then the others come first ----------------- */

struct echo {
    struct future future;
    long words, echoed;
};

static long echo_poll(struct future *future, struct waker *waker)
{
    struct echo *self = (struct echo *)future;

    if (self->echoed == self->words)
        return self->echoed;
    self->echoed++;
    waker->wake(waker);
    return PENDING;
}

/* ---- tasks ------------------------------------------------------------------------- */

struct task {
    struct waker waker; /* first: a task is found from its waker */
    struct task *next;  /* in the queue */
    bool queued, done, attached;
    const char *name;
    long result;          /* once it is done */
    struct waker *joiner; /* whom to wake then; NULL: nobody */
    max_align_t future[]; /* the future itself */
};

static struct task *queue, *queue_last; /* first in, first out */

static void task_wake(struct waker *waker)
{
    struct task *task = (struct task *)waker;

    printf("    wake %s%s\n", task->name, task->queued ? ": already queued" : "");
    if (task->queued)
        return;
    task->queued = true;
    task->next = NULL;
    *(queue == NULL ? &queue : &queue_last->next) = task;
    queue_last = task;
}

static void free_if_unreachable(struct task *task)
{
    if (!task->done || task->attached || task->queued)
        return;
    printf("    free %s\n", task->name);
    free(task);
}

static void run(struct task *task)
{
    struct future *future = (void *)task->future;

    task->queued = false;
    task->result = future->poll(future, &task->waker);
    task->done = task->result != PENDING;
    if (task->done)
        printf("    poll %s: ready, %ld\n", task->name, task->result);
    else
        printf("    poll %s: PENDING\n", task->name);
    if (task->done && task->joiner != NULL)
        task->joiner->wake(task->joiner);
    free_if_unreachable(task);
}

static void tasks_run(void)
{
    for (struct task *task; (task = queue) != NULL; run(task))
        queue = task->next;
    printf("    the queue is empty: a thread could sleep here\n");
}

/* ---- a handle, itself a future: the task's number ---------------------------------- */

struct join {
    struct future future;
    struct task *task;
};

static void join_drop(struct join *self)
{
    self->task->attached = false;
    free_if_unreachable(self->task);
}

static long join_poll(struct future *future, struct waker *waker)
{
    struct join *self = (struct join *)future;
    long result = self->task->result;

    if (!self->task->done) {
        self->task->joiner = waker;
        return PENDING;
    }
    join_drop(self);
    return result;
}

static struct join spawn(const char *name, const struct future *future, size_t size)
{
    struct task *task = malloc(sizeof *task + size);

    if (task == NULL)
        exit(EXIT_FAILURE);
    *task = (struct task){{task_wake}, .name = name, .attached = true};
    memcpy(task->future, future, size);
    task_wake(&task->waker);
    return (struct join){{join_poll}, task};
}

/* ---- main: Blink's task goes on alone; a task of its own waits for Drip's ---------- */

int main(void)
{
    struct echo blink = {{echo_poll}, .words = 1}, drip = {{echo_poll}, .words = 2};
    struct join handle = spawn("Blink", &blink.future, sizeof blink);

    join_drop(&handle);
    handle = spawn("Drip", &drip.future, sizeof drip);
    handle = spawn("host", &handle.future, sizeof handle);
    join_drop(&handle);
    tasks_run();
    return 0;
}
