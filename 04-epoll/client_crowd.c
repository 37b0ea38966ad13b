/* 04-epoll/client_crowd.c: `./client --guests N --rounds R`, all at once with epoll.
 *
 * One thread; the visits are state machines (client_visit.c). Each is registered once,
 * and a bell names the visit that can go on: nobody looks through all of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "client.h"
#include "client_check.h"
#include "client_visit.h"
#include "process.h"
#include "sockets.h"

#define BATCH 256

/* Edge-triggered: a visit goes on until every call says EAGAIN, so no bell is missed. */
static void hang_bell(int bells, struct visit *visit)
{
    struct epoll_event bell = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = visit};
    if (visit->state == VISIT_OVER)
        return;
    if (epoll_ctl(bells, EPOLL_CTL_ADD, visit->socket, &bell) == -1) {
        int error = errno;
        visit_give_up(visit);
        fault_say(&visit->fault, "epoll_ctl: %s", strerror(error));
    }
}

static void give_up(struct visit *visits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (visits[i].state != VISIT_OVER)
            visit_give_up(&visits[i]);
}

/* Until all are home. When nothing at all happens for PATIENCE seconds, nothing will. */
static void wait_for_all(int bells, struct visit *visits, size_t count)
{
    struct epoll_event events[BATCH];
    size_t out = 0;

    for (size_t i = 0; i < count; i++)
        out += visits[i].state != VISIT_OVER;
    while (out > 0) {
        int rung = epoll_wait(bells, events, BATCH, PATIENCE * 1000);
        if (rung == -1 && errno != EINTR)
            fail("epoll_wait: %s", strerror(errno));
        if (rung == 0) {
            give_up(visits, count);
            out = 0;
        }
        for (int i = 0; i < rung; i++)
            out -= visit_go_on(events[i].data.ptr) == VISIT_NOTHING;
    }
}

int client_crowd(const struct client_options *options)
{
    size_t count = (size_t)options->guests;
    struct visit *visits = calloc(count, sizeof *visits);
    int bells = epoll_create1(EPOLL_CLOEXEC);
    struct address server;
    struct report report;

    if (visits == NULL || bells == -1)
        fail("no memory for %ld guests", options->guests);
    report_start(&report, options->guests);
    int first = socket_connect(options->host, options->port, &server);
    int error = socket_set_blocking(first, false);
    if (error < 0)
        fail("fcntl: %s", strerror(-error));
    for (size_t i = 0; i < count; i++) {
        visit_start(&visits[i], options, &server, (long)i + 1, i == 0 ? first : -1);
        hang_bell(bells, &visits[i]);
    }
    wait_for_all(bells, visits, count);
    for (size_t i = 0; i < count; i++)
        report_guest(&report, visits[i].guest, visits[i].echoes,
                     visits[i].failed ? &visits[i].fault : NULL);
    free(visits);
    return report_finish(&report);
}
