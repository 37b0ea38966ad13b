/* 03-select/server.c: one host, all the tables.
 *
 * One thread again, and it sleeps in one place only: pselect() wakes it when somebody
 * stands at the door or a guest can be served. No other call may wait, so every socket is
 * a non-blocking one. What happens at a table is in server_guests.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
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

static int door = -1; /* -1: closed */
static bool crowded;  /* more may stand there than we have taken in */
static int shortage;  /* why we do not look at the door; 0: we do */
static int64_t next_tick, deadline;

/* Takes in who stands at the door; when many do, some now, and more after the guests have
 * had their turn. When descriptors run out they stay there, and we look again at the next
 * tick. */
static void accept_guests(void)
{
    struct address who;
    int fd = 0;

    for (int i = 0; i < NEWCOMERS && fd >= 0; i++) {
        fd = socket_accept(door, SOCK_NONBLOCK, &who);
        if (fd >= 0)
            guest_arrive(fd, &who);
    }
    crowded = fd >= 0;
    int error = crowded || fd == -EAGAIN ? 0 : -fd;
    if (error != 0 && error != shortage)
        log_error("Failed to accept; err = %s; trying again", strerror(error));
    shortage = error;
}

/* Sleeps until somebody can be served; the sets say who. They must be filled anew for
 * each sleep, and the kernel goes through all of them: the cost is by the guests, busy or
 * not. */
static int wait_for_guests(fd_set *readers, fd_set *writers)
{
    struct timespec one_tick = {.tv_nsec = TICK_MS * 1000000L};
    bool ticking = shortage != 0 || signals_closing();

    FD_ZERO(readers);
    FD_ZERO(writers);
    int last = guests_watch(readers, writers);
    if (door != -1 && shortage == 0)
        FD_SET(door, readers);
    return pselect((door > last ? door : last) + 1, readers, writers, NULL,
                   ticking ? &one_tick : NULL, signals_let_in());
}

/* What no descriptor tells: a signal, the end of a shortage, closing time. Whoever stands
 * at the door then is taken in before it is closed. */
static void tick(int64_t now)
{
    next_tick = now + TICK_MS;
    signals_peek();
    if (door != -1 && (shortage != 0 || signals_closing()))
        accept_guests();
    if (!signals_closing())
        return;
    if (door != -1 && !crowded && shortage == 0) {
        (void)close(door);
        door = -1;
    }
    if (deadline == 0)
        deadline = now + GOODBYE_MS;
    guests_say_goodbye();
}

static void open_door(const struct server_options *options)
{
    struct address here;

    door = socket_listen(options->host, options->port, SOCK_NONBLOCK, &here);
    if (door >= FD_SETSIZE)
        fail("the door is descriptor %d; select watches those below %d", door,
             FD_SETSIZE);
    log_line("✅ Server listening on %s", address_name(&here).text);
}

int main(int argc, char **argv)
{
    fd_set readers, writers;

    process_start("server");
    struct server_options options = server_options(argc, argv);
    guests_quiet = options.quiet;
    signals_catch();
    open_door(&options);

    while ((door != -1 || guests_count() > 0) &&
           (deadline == 0 || clock_now() < deadline)) {
        if (wait_for_guests(&readers, &writers) > 0) {
            guests_serve(&readers, &writers);
            /* after the guests: who leaves now makes room for who comes */
            if (door != -1 && FD_ISSET(door, &readers))
                accept_guests();
        }
        if (clock_now() >= next_tick)
            tick(clock_now());
    }
    return EXIT_SUCCESS; /* who is still here is cut: the kernel closes what is open */
}
