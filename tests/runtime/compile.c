/* compile.c: mistakes that a compiler finds. Each is compiled alone, with -DNAME and the
 * flags of the chapter's own Makefile, and must cause a warning; without them all, none. */
#include "future.h"
#include "task.h"
#include "timer.h"

struct example {
    struct future future;
    struct async async;
    struct sleep sleep;
    int kind;
};

static long example_poll(struct future *future, struct waker *waker)
{
    struct example *self = (struct example *)future;
    long done;

    ASYNC_BEGIN;
#ifdef a_local_across_an_await
    int local = self->kind;
    AWAIT(done, self->sleep, sleep_for(1));
    if (local > 0)
        return done;
#endif
#ifdef a_local_set_before_and_used_after_an_await
    int local;
    local = self->kind;
    AWAIT(done, self->sleep, sleep_for(1));
    if (local > 0)
        return done;
#endif
#ifdef an_await_inside_a_switch
    switch (self->kind) {
    case 1:
        AWAIT(done, self->sleep, sleep_for(1));
        break;
    default:
        break;
    }
#endif
#ifdef two_awaits_on_one_line
    AWAIT(done, self->sleep, sleep_for(1)); AWAIT(done, self->sleep, sleep_for(1));
#endif
    AWAIT(done, self->sleep, sleep_for(1));
    ASYNC_END;
    return done;
}

ASYNC_VTABLE(example);

int begin(void);
int begin(void)
{
    struct example example = {.future = {&example_vtable}};
#ifdef the_answer_of_spawn_ignored
    spawn(example);
    return 0;
#else
    return spawn(example);
#endif
}
