/* Step 7: a time-out, and what cancelling has to undo. Grows from 2-waker.c. */
#include <stdbool.h>
#include <stdio.h>

#define PENDING (-4096L) /* not ready yet: no count, and no -errno */
#define TIMED_OUT (-4097L)

struct waker {
    void (*wake)(struct waker *waker);
};

struct future;
struct future_vtable {
    long (*poll)(struct future *future, struct waker *waker);
    void (*drop)(struct future *future);
};

struct future {
    const struct future_vtable *vtable; /* NULL: dropped */
};

static void future_drop(struct future *future)
{
    if (future->vtable != NULL)
        future->vtable->drop(future);
    future->vtable = NULL;
}

/* What is ready is dropped, too. */
static long future_poll(struct future *future, struct waker *waker)
{
    long result = future->vtable->poll(future, waker);

    if (result != PENDING)
        future_drop(future);
    return result;
}

/* ---- a pretend socket, and a read from it ------------------------------------------ */

struct source {
    const char *name;
    long bytes;           /* how many lie in its receive buffer */
    struct waker *waiter; /* whom to wake when there are more; NULL: nobody */
};

/* The future comes first; after it, what must be there at the next poll. */
struct read {
    struct future future;
    struct source *source;
};

static long read_poll(struct future *future, struct waker *waker)
{
    struct read *self = (struct read *)future;
    long length = self->source->bytes;

    if (length == 0) {
        self->source->waiter = waker;
        return PENDING;
    }
    self->source->bytes = 0;
    return length;
}

/* Takes the waker back. */
static void read_drop(struct future *future)
{
    struct source *source = ((struct read *)future)->source;

    printf("    drop the read from %s\n", source->name);
    source->waiter = NULL;
}

static struct read read_from(struct source *source)
{
    static const struct future_vtable vtable = {read_poll, read_drop};
    return (struct read){{&vtable}, source};
}

/* What the kernel will do for us later. */
static void arrive(struct source *source, long bytes)
{
    struct waker *waker = source->waiter;

    printf("    %s says %ld bytes\n", source->name, bytes);
    source->bytes += bytes;
    source->waiter = NULL;
    if (waker != NULL)
        waker->wake(waker);
}

/* ---- a limit for a read: a clock is a socket on which a byte comes by itself ------- */

struct timeout {
    struct future future;
    struct read work, clock;
};

static long timeout_poll(struct future *future, struct waker *waker)
{
    struct timeout *self = (struct timeout *)future;
    long result = future_poll(&self->work.future, waker);

    if (result != PENDING)
        return result;
    return future_poll(&self->clock.future, waker) == PENDING ? PENDING : TIMED_OUT;
}

static void timeout_drop(struct future *future)
{
    struct timeout *self = (struct timeout *)future;

    future_drop(&self->work.future);
    future_drop(&self->clock.future);
}

static struct timeout timeout(struct read work, struct source *clock)
{
    static const struct future_vtable vtable = {timeout_poll, timeout_drop};
    return (struct timeout){{&vtable}, work, read_from(clock)};
}

/* ---- main: an evening with Drip ---------------------------------------------------- */

/* A waker that takes a note. The note stands right behind it. */
struct root {
    struct waker waker;
    bool woken;
};

static void root_wake(struct waker *waker)
{
    printf("    wake: noted\n");
    ((struct root *)waker)->woken = true;
}

int main(void)
{
    struct source drip = {.name = "Drip"}, clock = {.name = "the clock"};
    struct timeout limited = timeout(read_from(&drip), &clock);
    struct root root = {.waker = {root_wake}, .woken = true}; /* the first poll is free */
    long result = PENDING;

    for (int second = 0; second < 5; second++) {
        printf("second %d\n", second);
        if (second == 3)
            arrive(&clock, 8);
        if (second == 4)
            arrive(&drip, 4); /* too late */
        if (!root.woken)
            continue; /* a thread could sleep here */
        root.woken = false;
        result = future_poll(&limited.future, &root.waker);
        if (result == PENDING)
            printf("    poll: PENDING\n");
        else
            printf("    poll: %s\n", result == TIMED_OUT ? "TIMED_OUT" : "ready");
    }
    return 0;
}
