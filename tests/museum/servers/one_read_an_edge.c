/* one_read_an_edge.c: takes one plate where a whole meal stands.
 *
 * Room: bytes
 * The bug: with EPOLLET the bell rings when bytes come, once, not as long as some are
 * there. This server reads 4,096 of them and waits for the bell again. What it has left
 * lies there until the guest says something more; if he waits for his echo first, both
 * wait for ever.
 * Whom it bit: davici (issue 4), a library that read one message a call, in a program
 * that used EPOLLET; epoll(7) answers it as question 9.
 * Caught by: test_data_and_goodbye_in_one_burst_are_echoed_then_closed
 */
#define _GNU_SOURCE
#include "right.h"

#include <sys/epoll.h>

static void serve_guest(int guest)
{
    char bytes[4096];
    ssize_t length = recv(guest, bytes, sizeof bytes, 0);

    if (length <= 0 || write_all(guest, bytes, (size_t)length) == -1)
        close(guest);
}

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);
    int bells = epoll_create1(0);
    struct epoll_event bell = {.events = EPOLLIN, .data.fd = door};

    epoll_ctl(bells, EPOLL_CTL_ADD, door, &bell);
    for (;;) {
        if (epoll_wait(bells, &bell, 1, -1) != 1)
            continue;
        if (bell.data.fd != door) {
            serve_guest(bell.data.fd);
            continue;
        }
        int guest = take_in(door, SOCK_NONBLOCK);
        bell = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = guest};
        epoll_ctl(bells, EPOLL_CTL_ADD, guest, &bell);
    }
}
