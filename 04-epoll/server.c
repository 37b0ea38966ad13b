/* 04-epoll/server.c: one host, and a bell on every table.
 *
 * select() is told all tables anew for each sleep, and goes through them all. epoll is
 * told once whom to watch, and names only those whose bell has rung: the cost is by the
 * guests who are busy. What happens at a table is in server_guests.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "options.h"
#include "process.h"
#include "server_guests.h"
#include "server_signals.h"
#include "sockets.h"

#define TICK_MS 100     /* how often we look at what no descriptor tells */
#define NEWCOMERS 64    /* as many are taken in before it is the guests' turn again */
#define GOODBYE_MS 5000 /* after Ctrl-C, guests who have not left by then are cut */
#define BATCH 256       /* bells we listen to at a time */

/* epoll; the descriptor of Ctrl-C, -1: it has come */
static int bells = -1, signals = -1;
static int door = -1;                /* -1: closed */
static bool crowded;                 /* more may stand there than we have taken in */
static int shortage;                 /* why we do not look at the door; 0: we do */
static int64_t next_tick, deadline;

/* Takes in who stands at the door; when many do, some now, and more after the guests have
 * had their turn. When descriptors run out they stay there, and we look again at the next
 * tick: the bell at the door rings for newcomers only. */
static void accept_guests(void)
{
    struct address who;
    int fd = 0;

    for (int i = 0; i < NEWCOMERS && fd >= 0; i++) {
        fd = socket_accept(door, SOCK_NONBLOCK, &who);
        if (fd >= 0)
            guest_arrive(bells, fd, &who);
    }
    crowded = fd >= 0;
    int error = crowded || fd == -EAGAIN ? 0 : -fd;
    if (error != 0 && error != shortage)
        log_error("Failed to accept; err = %s; trying again", strerror(error));
    shortage = error;
}

/* Whether there is something to do that no bell tells; see tick(). */
static bool ticking(void)
{
    return shortage != 0 || signals == -1;
}

/* Sleeps until bells ring, unless somebody is waiting for his next turn already; then
 * only listens. Newcomers come last: nobody gets a descriptor whose old bell could still
 * be in the batch. */
static void wait_for_bells(bool busy)
{
    struct epoll_event events[BATCH];

    int rung = epoll_wait(bells, events, BATCH, busy ? 0 : ticking() ? TICK_MS : -1);
    for (int i = 0; i < rung; i++) {
        if (events[i].data.fd == door)
            crowded = true;
        else if (events[i].data.fd == signals)
            signals = signals_take(signals);
        else
            guest_ring(events[i].data.fd, events[i].events);
    }
    if (crowded)
        accept_guests();
}

/* What no bell tells: the end of a shortage, closing time. Whoever stands at the door
 * then is taken in before it is closed. */
static void tick(int64_t now)
{
    next_tick = now + TICK_MS;
    if (door != -1)
        accept_guests();
    if (signals != -1)
        return;
    if (door != -1 && !crowded && shortage == 0) {
        (void)close(door);
        door = -1;
    }
    if (deadline == 0)
        deadline = now + GOODBYE_MS;
    guests_say_goodbye();
}

static void hang_bell(int fd, uint32_t events)
{
    struct epoll_event bell = {.events = events, .data.fd = fd};
    if (epoll_ctl(bells, EPOLL_CTL_ADD, fd, &bell) == -1)
        fail("epoll_ctl: %s", strerror(errno));
}

static void open_door(const struct server_options *options)
{
    struct address here;

    bells = epoll_create1(EPOLL_CLOEXEC);
    if (bells == -1)
        fail("epoll_create1: %s", strerror(errno));
    signals = signals_open();
    hang_bell(signals, EPOLLIN);
    door = socket_listen(options->host, options->port, SOCK_NONBLOCK, &here);
    hang_bell(door, EPOLLIN | EPOLLET);
    log_line("✅ Server listening on %s", address_name(&here).text);
}

int main(int argc, char **argv)
{
    bool busy = false;

    process_start("server");
    struct server_options options = server_options(argc, argv);
    guests_quiet = options.quiet;
    open_door(&options);

    while ((door != -1 || guests_count() > 0) &&
           (deadline == 0 || clock_now() < deadline)) {
        wait_for_bells(busy);
        busy = guests_serve() || crowded;
        if (ticking() && clock_now() >= next_tick)
            tick(clock_now());
    }
    return EXIT_SUCCESS; /* who is still here is cut: the kernel closes what is open */
}
