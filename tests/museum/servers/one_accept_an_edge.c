/* one_accept_an_edge.c: takes in one guest where several have come.
 *
 * Room: door
 * The bug: with EPOLLET the bell at the door rings when somebody comes, once, not as
 * long as somebody stands there. Of sixteen who come together one is taken in; the next
 * waits until yet another rings for him.
 * Whom it bit: kecho (issue 2).
 * Caught by: test_guests_who_came_while_the_server_was_away_are_all_served, 16
 */
#define _GNU_SOURCE
#include "right.h"

#include <sys/epoll.h>

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);
    int bells = epoll_create1(0);
    struct epoll_event bell = {.events = EPOLLIN | EPOLLET, .data.fd = door};

    epoll_ctl(bells, EPOLL_CTL_ADD, door, &bell);
    for (;;) {
        if (epoll_wait(bells, &bell, 1, -1) != 1)
            continue; /* EINTR: stopped with Ctrl-Z, and woken again */
        int guest = take_in(door, 0);
        if (guest != -1)
            start_host(guest, serve_until_goodbye);
    }
}
