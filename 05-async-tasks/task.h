/* task.h: a future that somebody runs: the waiter, with his guest.
 *
 * A task is a future on the heap and a place in a queue. Its waker puts it into the
 * queue; whoever runs the queue polls it. Nobody else does.
 */
#ifndef TASK_H
#define TASK_H

#include "future.h"

struct task;

/* The other end of a task, and itself a future: the task's number, or -ECANCELED.
 * Drop it, and the task goes on alone. (Tokio: JoinHandle.) */
struct join {
    struct future future;
    struct task *task; /* NULL: there was no memory; then the number is -ENOMEM */
};

/* Starts a task from a future variable that has not been polled: it is moved, and the
 * variable may not be used again. When there is no memory it is dropped at once.
 * (Tokio: tokio::spawn.) */
#define spawn(variable) task_spawn(&(variable).future, sizeof(variable))
struct join task_spawn(struct future *future, size_t size);

/* Lets the task go on alone; the same as dropping the handle. Returns false when there is
 * no task: spawn() had no memory. */
bool task_detach(struct join *join);

/* Ends the task before its time: its future is dropped, now, or, when it is the task that
 * runs right now, as soon as it lets go. Whoever joins it gets -ECANCELED. A task that
 * has ended stays as it is. (Tokio: JoinHandle::abort, which only asks: there the drop
 * comes a little later.) */
void task_cancel(struct join *join);

/* Ready when the task that waits is the only one left. One task may wait for this.
 * (tokio-util: TaskTracker::wait.) */
struct others_gone {
    struct future future;
    struct waker *waker; /* that we have left; NULL: none */
};
struct others_gone others_gone(void);

/* Lets the other tasks have a turn. (Tokio: yield_now.) */
struct yield {
    struct future future;
    bool yielded;
};
struct yield yield_now(void);

/* Asked by a leaf that could go on without waiting. After 128 in one turn the answer is
 * false: the task has been put at the end of the queue, and the leaf answers PENDING. So
 * a guest who always has something to say does not keep the waiter from the others.
 * (Tokio: coop.) */
static inline bool task_may_go_on(struct waker *waker);
extern _Thread_local int task_budget;

/* ---- for the runtime --------------------------------------------------------------- */

/* A turn for each task that is in the queue now. Returns whether there are more
 * already. */
bool tasks_run(void);

/* Whether the task has ended, and its number. */
bool task_result(const struct task *task, long *result);

/* Puts every task into the queue: something has happened that concerns all. */
void tasks_wake_all(void);

/* Drops every task. Their handles can still be dropped, no more. */
void tasks_drop(void);

static inline bool task_may_go_on(struct waker *waker)
{
    if (task_budget > 0) {
        task_budget--;
        return true;
    }
    waker->wake(waker);
    return false;
}

#endif
