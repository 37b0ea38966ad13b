/* unit.h: what the unit tests of the runtime are written with.
 *
 *   unit.c       the runner; system calls that can be looked at or changed; helpers
 *   leaves.c     what every leaf must do, asked of each in turn
 *   tasks.c      wake, join, cancel, drop; sync
 *   time.c       sleep, timeout, the budget
 *   net.c        TCP
 *   stop.c       stop, two signals, open and close
 *   threads.c    the inbox and offload; also run under ThreadSanitizer
 *   mistakes.c   each must abort, and name the rule that it breaks
 *
 * A test is a plain function, in a process of its own. The runtime of its thread is open,
 * and what the test does is done by the future of block_on(), which is no task: await()
 * waits, and turn() gives every task that is in the queue one turn.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdatomic.h>

#include "future.h"
#include "inbox.h"
#include "net.h"
#include "offload.h"
#include "runtime.h"
#include "stop.h"
#include "sync.h"
#include "task.h"
#include "timer.h"

#define TEST(name)                                                                       \
    static void name(void);                                                              \
    __attribute__((constructor)) static void add_##name(void)                            \
    {                                                                                    \
        add_unit(#name, name);                                                           \
    }                                                                                    \
    static void name(void)
void add_unit(const char *name, void (*run)(void));

/* A test that must abort, with `rule` among its last words: test_runtime.py checks it. */
#define ABORTS(name, rule) TEST(name)

/* Like assert(), also where NDEBUG is defined. */
#define check(condition) ((condition) ? (void)0 : failed(__FILE__, __LINE__, #condition))
_Noreturn void failed(const char *file, int line, const char *condition);

/* What the test is asking about, for the message of check(); "" at first. */
extern const char *about;

/* The next allocation but so many fails, once; -1: none does. */
extern int allocations_left;

/* How many eventfds were written to, such as that of a helper thread that has ended. */
extern atomic_int events_written;

void pass(int64_t ms); /* moves the clock, as if the process had been stopped */

/* await(sleep, sleep_for(5)): the number with which this struct sleep ends. */
#define await(type, ...) block_on(&((struct type[1]){__VA_ARGS__})->future)

/* start(&handle, sleep, sleep_for(5)): spawns this struct sleep; the handle may be NULL. */
#define start(handle, type, ...)                                                         \
    check(task_spawn(&((struct type[1]){__VA_ARGS__})->future, sizeof(struct type),      \
                     (handle)) == 0)

long join(struct join *handle);   /* await it, where it is */
void cancel(struct join *handle); /* and drop the handle */
void turn(void);
void turns(int count);

/* A waker that counts, and a poll with it. */
struct bell {
    struct waker waker;
    int rung;
};
extern struct bell bell;
void ring(struct waker *waker);
#define poll_by_hand(it) future_poll(&(it).future, &bell.waker)

/* ---- a future that counts ---------------------------------------------------------- */

struct counts {
    int polls, drops;
    struct waker *waker;                                         /* of the last poll */
    long (*on_poll)(struct counts *counts, struct waker *waker); /* NULL: PENDING */
    void (*on_drop)(struct counts *counts);                      /* or NULL */
    struct join handle;
};
extern struct counts one, two; /* the runner drops their handles at the end */

struct probe {
    struct future future;
    struct counts *counts;
    bool dropped;
};
struct probe probe(struct counts *counts);
void spawn_probe(struct counts *counts); /* with its handle, and a turn */

long ready(struct counts *counts, struct waker *waker); /* an on_poll: ends with 7 */
long again(struct counts *counts, struct waker *waker); /* one that wakes itself */
long use_up(struct counts *counts, struct waker *waker); /* the budget, and wakes itself */
void wake(struct counts *counts);

/* ON_POLL(name, what): an on_poll of one line. */
#define ON_POLL(name, ...)                                                               \
    static long name(struct counts *its, struct waker *waker)                            \
    {                                                                                    \
        (void)its, (void)waker;                                                          \
        __VA_ARGS__;                                                                     \
    }

/* AWAIT_UNTIL(), of these two. */
struct until {
    struct future future;
    struct async async;
    struct future *work, *other;
};
struct until until(struct future *work, struct future *other);

/* ---- sockets ----------------------------------------------------------------------- */

/* A stream of the runtime, and its other end: a plain socket. Of the Unix kind, where
 * every byte is there at once. The runner closes it at the end. */
extern struct pair {
    struct tcp_stream stream;
    int other;
} pair;
void pair_open(void);
void pair_take(int fd, int other);
void pair_close(void);
void pair_fill(void); /* in small pieces, until the stream can send no more */
void say(const char *text);
long hear(void); /* reads and drops all that is there: how much */

#endif
