/* fake_kernel.h: a kernel and its guests, small enough to try everything they can do.
 *
 * The whole server of chapter 05, main() included, is linked with system calls of our
 * own (ld --wrap). Behind them stand a few guests, a clock, and an epoll with the rules
 * of the real one. Wherever the world could go one way or another it asks choose(); who
 * answers decides everything that is not decided by the server:
 *
 *   exhaustive.c   gives every answer there is, one run after the other
 *   fuzz.c         lets libFuzzer answer
 *
 *   world.c        the guests: what each can do next, and what is owed to him
 *   fake_kernel.c  the system calls
 *   fake_libc.c    clock, signals, memory
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- what the driver gives --------------------------------------------------------- */

/* A number from 0 to count - 1. Nothing but zeros leads every run to its end. */
int choose(int count);

/* One step of the run, in words. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The server has done wrong. */
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- one run ----------------------------------------------------------------------- */

/* How much may happen. Each guest comes, says `bytes` bytes in pieces of any size, and
 * says goodbye. The rest are numbers of events a run, at any moment: */
struct scenario {
    const char *name;
    int guests, bytes;
    int room;      /* bytes of echo a guest can hold before he reads */
    int resets;    /* guests who leave without goodbye */
    int surprises; /* things that happen while the server is at work, not asleep */
    int faults;    /* EINTR; EMFILE at the door; less sent than there is room for */
    int shortages; /* malloc says no */
    int delays;    /* the clock moves on although a guest could do something */
    int ctrl_c;    /* 1: at any moment; 0: when all guests have left */
    int idle;      /* 1: with --idle-timeout 1 */
};

/* The server from main() to its end, in a fresh world. */
void run_server(const struct scenario *scenario);

/* ---- between world.c and fake_kernel.c --------------------------------------------- */

#define MAX_GUESTS 8

struct guest {
    enum { AWAY, AT_DOOR, SEATED, GONE } place; /* GONE: his table is closed */
    int said, read, echoed, heard;              /* bytes: in this order they travel */
    int fd;
    bool goodbye, reset; /* of the guest, as far as the server's kernel has heard */
    bool shut;           /* the server has said goodbye */
    int64_t shut_at;
    bool no_room;        /* a send found no room: tell when there is (SOCK_NOSPACE) */
    int error;           /* what the next call fails with (SO_ERROR) */
    bool was_here;       /* when Ctrl-C came */
    int owed; /* of what he said, once it is closing time, or he was silent too long */
    int64_t last_said;
    bool too_late; /* his time was over when he spoke; not yet read */
};

extern struct world {
    struct scenario left; /* what may still happen */
    struct guest guests[MAX_GUESTS];
    int at_door[MAX_GUESTS], waiting; /* the queue of the door */
    int64_t clock;                    /* milliseconds */
    int64_t rung_at;                  /* Ctrl-C; 0: not yet */
    bool door_open;
    int excuses; /* guests who may be turned away: there was no memory */
    long steps;
} world;

void world_begin(const struct scenario *scenario);
void world_end(void);

/* Before a system call: something may happen that the server does not expect. */
void world_may_act(void);

/* Inside epoll_wait(): the world goes on until there is something to tell, or `ms` are
 * over. False: interrupted by a signal. */
bool world_sleep(int ms);

/* Whether this call fails, one of the few faults of a run. */
bool fault(void);

char name_of(const struct guest *guest);
unsigned char byte_of(const struct guest *guest, int index);
int room_of(const struct guest *guest);
void must_be_allowed_to_shut(struct guest *guest);
void must_be_allowed_to_close(struct guest *guest);

/* The kernel's part: something has happened to the guest's descriptor. */
void kernel_begin(void);
void kernel_end(void);
void kernel_event(const struct guest *guest);
void kernel_door_event(void);
void kernel_ctrl_c(void);
bool kernel_has_news(void);

#endif
