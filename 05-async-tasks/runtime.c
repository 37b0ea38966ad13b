/* runtime.c: opening hours. See runtime.h. */
#include "runtime.h"

#include <errno.h>

#include "ctrl_c.h"
#include "reactor.h"
#include "task.h"
#include "timer.h"

/* Sleeps only when no task can go on; but looks at bells and clocks between any two
 * rounds, so that tasks which never wait do not keep the others from hearing theirs. */
static long run_until_over(const struct task *task)
{
    long result;
    bool busy = tasks_run();

    while (!task_result(task, &result)) {
        reactor_wait(busy ? 0 : timers_wait());
        timers_wake();
        busy = tasks_run();
    }
    return result;
}

static int open_runtime(void)
{
    int error = reactor_open();
    if (error < 0)
        return error;
    error = ctrl_c_listen();
    if (error < 0)
        reactor_close();
    return error;
}

long runtime_block_on(struct future *future, size_t size)
{
    int error = open_runtime();
    if (error < 0) {
        future_drop(future);
        return error;
    }
    struct join join = task_spawn(future, size);
    long result = join.task == NULL ? -ENOMEM : run_until_over(join.task);
    tasks_drop();
    future_drop(&join.future);
    ctrl_c_leave();
    reactor_close();
    return result;
}
