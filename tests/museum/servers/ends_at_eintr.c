/* ends_at_eintr.c: a nap ends it.
 *
 * Room: sleep
 * The bug: epoll_wait() may fail with EINTR, which says "nothing happened, ask again".
 * It does so even in a program without signal handlers, when that was stopped and goes
 * on: by Ctrl-Z and fg, by a debugger, by a laptop that is closed and opened. This
 * server says it and exits.
 * Whom it bit: fanout (issue 19), pflask (issue 21), mozim (issue 10), each after a
 * suspend; signal(7) has a section on it.
 * Caught by: test_a_whole_visit_before_the_server_looks_is_served
 */
#define _GNU_SOURCE
#include "right.h"

#include <sys/epoll.h>

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);
    int bells = epoll_create1(0);
    struct epoll_event bell = {.events = EPOLLIN, .data.fd = door};

    epoll_ctl(bells, EPOLL_CTL_ADD, door, &bell);
    for (;;) {
        if (epoll_wait(bells, &bell, 1, -1) == -1)
            give_up("epoll_wait");
        int guest = take_in(door, 0);
        if (guest != -1)
            start_host(guest, serve_until_goodbye);
    }
}
