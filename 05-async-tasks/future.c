/* future.c: two futures at once. See future.h. */
#include "future.h"

static struct poll race_poll(struct future *future, struct waker *waker)
{
    struct race *self = (struct race *)future;

    for (int i = 0; i < 2; i++) {
        struct poll answer = future_poll(self->runners[i], waker);
        if (answer.ready) {
            future_drop(self->runners[1 - i]);
            self->value = answer.value;
            return READY(i);
        }
    }
    return PENDING;
}

static void race_drop(struct future *future)
{
    struct race *self = (struct race *)future;
    future_drop(self->runners[0]);
    future_drop(self->runners[1]);
}

struct race race(struct future *first, struct future *second)
{
    static const struct future_kind kind = {race_poll, race_drop};
    return (struct race){.future = {&kind}, .runners = {first, second}};
}
