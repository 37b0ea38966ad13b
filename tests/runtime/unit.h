/* unit.h: what the unit tests of the runtime are written with.
 *
 *   unit.c         the runner; memory that can run out; the helpers below
 *   unit_wake.c    wakers: before, during and after a poll, after the end
 *   unit_tasks.c   join, cancel, detach, race, the last one
 *   unit_cancel.c  every leaf, cancelled while it waits
 *   unit_time.c    sleep and timeout
 *   unit_net.c     TCP, the budget, Ctrl-C
 *
 * A test is a plain function that uses assert(). Each runs in a process of its own, and
 * must free what the runtime has allocated.
 */
#ifndef UNIT_H
#define UNIT_H

#undef NDEBUG
#include <assert.h>

#include "ctrl_c.h"
#include "future.h"
#include "net.h"
#include "client_notify.h"
#include "runtime.h"
#include "task.h"
#include "timer.h"

#define TEST(name)                                                                      \
    static void test_##name(void);                                                      \
    __attribute__((constructor)) static void add_##name(void)                           \
    {                                                                                   \
        add_test(#name, test_##name);                                                   \
    }                                                                                   \
    static void test_##name(void)
void add_test(const char *name, void (*test)(void));

/* Long enough for a few turns before it, on a busy machine and under valgrind. */
#define SOON_MS 300

/* The next allocation but `count` fails, once; -1: none does. */
extern int allocations_left;

/* ---- a future that counts ---------------------------------------------------------- */

struct counts {
    int polls, drops;
    struct waker *waker; /* of the last poll */
    struct poll (*on_poll)(struct counts *counts, struct waker *waker); /* or NULL */
    void (*on_drop)(void);                                              /* or NULL */
};

/* Its poll is on_poll(), or it is for ever pending. */
struct probe {
    struct future future;
    struct counts *counts;
    bool over;
};
struct probe probe(struct counts *counts);

struct poll ready_at_once(struct counts *counts, struct waker *waker); /* with 7 */

/* ---- an async function, with room for whatever it awaits --------------------------- */

#define BODY(name) static struct poll name(struct future *future, struct waker *waker)

struct stage {
    struct future future;
    struct frame frame;
    struct poll (*body)(struct future *future, struct waker *waker);
    struct counts *counts; /* or NULL */
    int i;
    struct join join, other_join, waiting;
    struct yield yield;
    struct sleep sleep;
    struct timeout timeout, outer;
    struct race race;
    struct notified notified;
    struct probe probe, other_probe;
    struct others_gone others_gone;
    struct ctrl_c ctrl_c;
    struct until_ctrl_c until;
    struct tcp_accept accept;
    struct tcp_connect connect;
    struct tcp_readable readable;
    struct tcp_read read;
    struct tcp_write_all write_all;
};
struct stage stage(struct poll (*body)(struct future *, struct waker *),
                   struct counts *counts);

/* block_on() a stage with this body. */
long run(struct poll (*body)(struct future *, struct waker *));

/* A task of its own for this body, or for a probe. */
struct join start(struct poll (*body)(struct future *, struct waker *),
                  struct counts *counts);
struct join start_probe(struct counts *counts);

/* ---- sockets and time -------------------------------------------------------------- */

/* A stream of the runtime; *other is a plain blocking socket, its other end. */
struct tcp_stream open_stream(int *other);

/* A door on some port of 127.0.0.1; *here is where. */
int open_door(struct address *here);

/* A blocking socket that has been connected to it. */
int visit(const struct address *here);

int64_t now_us(void);

#endif
