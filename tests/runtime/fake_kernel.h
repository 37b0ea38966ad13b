/* fake_kernel.h: a kernel small enough to try everything that can happen in it.
 *
 * The runtime of chapter 05 is linked with system calls of our own (ld --wrap). Behind
 * them stand a few peers, a clock, an epoll with the rules of the real one, and another
 * thread. Wherever things could go one way or another, choose() is asked.
 *
 *   exhaustive.c    gives every answer there is, one run after the other
 *   programs.c      the tasks that run, and what must be true of them
 *   fake_kernel.c   the peers, and the system calls
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* How much may happen in a run. Each peer says `bytes` bytes in pieces of any size, and
 * ends its side. */
struct scenario {
    const char *name;
    int peers, bytes;
    int room;      /* bytes of echo that a peer can hold before it reads */
    int surprises; /* events while the runtime is at work, not asleep */
    int messages;  /* from another thread */
    int wakes;     /* of a task, for nothing */
    int cancels, stops;
    int delays;  /* the clock moves on although somebody could do something */
    bool limits; /* each read has a limit */
    bool joins;  /* a task joins the first one, with a handle that cancels */
};

#define LIMIT_MS 1000
#define MOST_TASKS 5
#define MOST_PEERS 2

/* ---- exhaustive.c: the driver ------------------------------------------------------ */

/* A number from 0 to count - 1. Nothing but zeros leads every run to its end. */
int choose(int count);

/* One step of the run, in words; and the last one: the runtime has done wrong. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- programs.c: the tasks --------------------------------------------------------- */

void run(const struct scenario *scenario); /* from an empty world to its end */

/* What the kernel may do to them. */
bool task_is_there(int number);
void task_wake(int number);
void task_cancel_now(int number);
void other_thread_sends(void);

/* The thread is about to sleep: no task may have been woken and not polled. */
void tasks_must_all_wait(void);

/* Nothing can happen any more, and the thread would sleep for ever. */
_Noreturn void tasks_are_stuck(void);

/* ---- fake_kernel.c: the world ------------------------------------------------------ */

struct peer {
    int said, read, echoed, heard; /* bytes: in this order they travel */
    int64_t said_at;               /* when it last spoke, or ended */
    int fd;                        /* of its connection */
    bool ended;
    bool no_room; /* a send found no room: an event follows when there is */
};

extern struct world {
    struct scenario left; /* what may still happen */
    struct peer peers[MOST_PEERS];
    int64_t clock; /* milliseconds */
    int steps;
} world;

void world_begin(const struct scenario *scenario);
void world_end(void);

#endif
