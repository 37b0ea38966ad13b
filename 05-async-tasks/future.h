/* future.h: a promise of a number, and how to wait for it without a thread.
 *
 * The first file of the runtime; the others stand on it, in this order of reading:
 *
 *   future    what can be polled; await; two at once (race)
 *   task      a future that somebody runs; the queue of those who can go on
 *   reactor   epoll: which descriptor is ready, and who wants to know
 *   timer     sleep, and a limit for any other future
 *   net       TCP as futures: accept, connect, read, write_all
 *   ctrl_c    Ctrl-C as a future
 *   runtime   block_on: run, wait, run ... until it is done
 *
 * Who may hold what, and how long:
 *
 *   1. A future may be copied until its first poll, or until somebody else has been told
 *      its address: timeout(), race(); never after. (Rust: Pin.)
 *   2. A future that is ready has given back all it held. Whoever makes one and does not
 *      want to wait for that drops it, once: it then drops those it waits for itself, and
 *      a leaf takes its waker off the list it is on.
 *   3. A waker belongs to its task and lives as long as the task's future. By rule 2 no
 *      list holds it longer; so nothing is counted here, and nothing is freed too early.
 *   4. A future is polled in its task's turn only, and not again after it was ready.
 *   5. All of it lives on one thread. Another core has another runtime, sharing nothing.
 */
#ifndef FUTURE_H
#define FUTURE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

/* Whom to call when it is worth polling again: the pager. Calls may come at any moment,
 * during the poll too, twice, or for nothing; but from this thread only (rule 5), and not
 * from a signal handler. (Rust: Waker, which any thread may call. Its vtable and its
 * clone() are not needed: rule 3.) */
struct waker {
    void (*wake)(struct waker *waker);
};

/* The answer to a poll. Every future here ends with one number, as a system call does:
 * what was asked for, or -errno. (Rust: Poll<T>; T is always long.) */
struct poll {
    bool ready;
    long value;
};
#define PENDING ((struct poll){false, 0})
#define READY(number) ((struct poll){true, (number)})

/* What the futures of one kind have in common.
 * poll  goes on as far as it can. PENDING: the waker has been left with somebody who will
 *       call it; it is that of the last poll that counts.
 * drop  gives back what the future holds, before its end; NULL when that is nothing. The
 *       memory of the future itself belongs to whoever made it. */
struct future;
struct future_kind {
    struct poll (*poll)(struct future *future, struct waker *waker);
    void (*drop)(struct future *future);
};

/* A concrete future is a struct that has this as its first member, named `future`; after
 * it comes all that must outlive a PENDING. (Rust: dyn Future.) */
struct future {
    const struct future_kind *kind;
};

static inline struct poll future_poll(struct future *future, struct waker *waker)
{
    return future->kind->poll(future, waker);
}

static inline void future_drop(struct future *future)
{
    if (future->kind->drop != NULL)
        future->kind->drop(future);
}

/* ---- async functions ------------------------------------------------------------------
 *
 * An async function is a poll function that can be left in the middle and entered again
 * at the same place. The place is a number in its frame, and a switch jumps there:
 *
 *     static struct poll serve_poll(struct future *future, struct waker *waker)
 *     {
 *         long length;
 *         ASYNC_BEGIN(serve);                       struct serve *self = ...
 *                                                   switch (self->frame.state) { case 0:
 *         AWAIT(length, self->read, tcp_read(...)); make it; note the place; case 42:
 *         ...                                       poll it; PENDING: return
 *         ASYNC_END(0);                             } return READY(0);
 *     }
 *
 * What you must know:
 *   - a local variable does not survive an AWAIT: whatever does is a member of *self;
 *   - no AWAIT inside a switch of your own, and no two on one line.
 * The struct begins with `struct future future; struct frame frame;`.
 */
struct frame {
    /* where to go on: 0 is the start, else a line, or FRAME_OVER */
    int state;
    struct future *awaiting; /* the future that we wait for there, or NULL */
};
#define FRAME_OVER (-1)

#define ASYNC_BEGIN(type)                                                               \
    struct type *self = (struct type *)future;                                          \
    switch (self->frame.state) {                                                        \
    default:                                                                            \
        assert(false && "polled after its end");                                        \
        __attribute__((fallthrough));                                                   \
    case 0:

#define AWAIT(result, child, value)                                                     \
    do {                                                                                \
        (child) = (value);                                                              \
        self->frame.awaiting = &(child).future;                                         \
        self->frame.state = __LINE__;                                                   \
        __attribute__((fallthrough));                                                   \
    case __LINE__:                                                                      \
        if (!frame_await(&self->frame, waker, &(result)))                               \
            return PENDING;                                                             \
    } while (0)

#define ASYNC_RETURN(number)                                                            \
    return frame_return(&self->frame, future, (number))

#define ASYNC_END(number)                                                               \
    }                                                                                   \
    ASYNC_RETURN(number)

/* Polls what the frame waits for. When it is ready, *result is its number. */
static inline bool frame_await(struct frame *frame, struct waker *waker, long *result)
{
    struct poll answer = future_poll(frame->awaiting, waker);
    if (!answer.ready)
        return false;
    *result = answer.value;
    frame->awaiting = NULL;
    return true;
}

/* The end of an async function: what it still holds goes back, by its own drop. */
static inline struct poll frame_return(struct frame *frame, struct future *future,
                                       long number)
{
    frame->state = FRAME_OVER;
    future_drop(future);
    return READY(number);
}

/* For the drop function of an async function: drops what it waits for. */
static inline void frame_drop(struct frame *frame)
{
    if (frame->awaiting != NULL)
        future_drop(frame->awaiting);
    frame->awaiting = NULL;
}

/* ---- two at once ------------------------------------------------------------------- */

/* Ends when the first of two futures does; the other one is dropped. Its number is 0 or
 * 1: who won; `value` is the winner's number. When both are ready the first one wins. The
 * two must stay where they are as long as the race does. (Tokio: select!, biased.) */
struct race {
    struct future future;
    struct future *runners[2];
    long value;
};
struct race race(struct future *first, struct future *second);

#endif
