/* 03-select/client_crowd.c: `./client --guests N --rounds R`, all at once with select.
 *
 * One thread; the visits are state machines (client_visit.c), and select() tells which of
 * them can go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include "client.h"
#include "client_check.h"
#include "client_visit.h"
#include "process.h"
#include "sockets.h"

struct seat {
    struct visit visit;
    unsigned waits_for; /* a set of enum visit_wait */
};

/* A descriptor that select() cannot watch may not go into a set: this guest stays at
 * home. */
static void seat_guest(struct seat *seat)
{
    struct visit *visit = &seat->visit;
    if (visit->state != VISIT_OVER && visit->socket >= FD_SETSIZE) {
        visit_give_up(visit);
        fault_say(&visit->fault, "select watches descriptors below %d only", FD_SETSIZE);
    }
    seat->waits_for = visit->state == VISIT_CONNECTING ? VISIT_WRITE
                    : visit->state == VISIT_OVER       ? VISIT_NOTHING
                                                       : VISIT_READ | VISIT_WRITE;
}

/* Returns how many guests are still out. */
static int watch(const struct seat *seats, size_t count, fd_set *readers, fd_set *writers,
                 int *last)
{
    int out = 0;
    FD_ZERO(readers);
    FD_ZERO(writers);
    for (size_t i = 0; i < count; i++) {
        int fd = seats[i].visit.socket;
        if (seats[i].waits_for == VISIT_NOTHING)
            continue;
        out++;
        *last = fd > *last ? fd : *last;
        if (seats[i].waits_for & VISIT_READ)
            FD_SET(fd, readers);
        if (seats[i].waits_for & VISIT_WRITE)
            FD_SET(fd, writers);
    }
    return out;
}

static void go_on(struct seat *seats, size_t count, const fd_set *readers,
                  const fd_set *writers)
{
    for (size_t i = 0; i < count; i++)
        if (seats[i].waits_for != VISIT_NOTHING &&
            (FD_ISSET(seats[i].visit.socket, readers) ||
             FD_ISSET(seats[i].visit.socket, writers)))
            seats[i].waits_for = visit_go_on(&seats[i].visit);
}

static void give_up(struct seat *seats, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (seats[i].waits_for != VISIT_NOTHING)
            visit_give_up(&seats[i].visit);
        seats[i].waits_for = VISIT_NOTHING;
    }
}

/* Until all are home. When nothing at all happens for PATIENCE seconds, nothing will. */
static void wait_for_all(struct seat *seats, size_t count)
{
    fd_set readers, writers;
    int last = 0;

    while (watch(seats, count, &readers, &writers, &last) > 0) {
        struct timeval patience = {.tv_sec = PATIENCE};
        int ready = select(last + 1, &readers, &writers, NULL, &patience);
        if (ready == -1 && errno != EINTR)
            fail("select: %s", strerror(errno));
        if (ready == 0)
            give_up(seats, count);
        if (ready > 0)
            go_on(seats, count, &readers, &writers);
    }
}

int client_crowd(const struct client_options *options)
{
    size_t count = (size_t)options->guests;
    struct seat *seats = calloc(count, sizeof *seats);
    struct address server;
    struct report report;

    if (seats == NULL)
        fail("no memory for %ld guests", options->guests);
    report_start(&report, options->guests);
    int first = socket_connect(options->host, options->port, &server);
    int error = socket_set_blocking(first, false);
    if (error < 0)
        fail("fcntl: %s", strerror(-error));
    for (size_t i = 0; i < count; i++) {
        visit_start(&seats[i].visit, options, &server, (long)i + 1, i == 0 ? first : -1);
        seat_guest(&seats[i]);
    }
    wait_for_all(seats, count);
    for (size_t i = 0; i < count; i++)
        report_guest(&report, seats[i].visit.guest, seats[i].visit.echoes,
                     seats[i].visit.failed ? &seats[i].visit.fault : NULL);
    free(seats);
    return report_finish(&report);
}
