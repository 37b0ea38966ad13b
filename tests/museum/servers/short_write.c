/* short_write.c: sends once and believes that all of it went.
 *
 * Room: bytes
 * The bug: send() on a non-blocking socket takes what there is room for. Its result
 * tells how much that was; whoever does not look loses the rest.
 * Whom it bit: a well-known series on concurrent servers: the bug lived for 17 months,
 * because its test sent a few bytes only; curl has a debug switch to find its own.
 * Caught by: test_a_guest_who_reads_only_after_the_last_byte_gets_everything
 */
#define _GNU_SOURCE
#include "right.h"

#include <sys/epoll.h>

static void serve_guest(int guest)
{
    static char bytes[65536];
    ssize_t length = recv(guest, bytes, sizeof bytes, 0);

    if (length > 0)
        (void)send(guest, bytes, (size_t)length, MSG_NOSIGNAL);
    else
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
            continue; /* EINTR: stopped with Ctrl-Z, and woken again */
        if (bell.data.fd != door) {
            serve_guest(bell.data.fd);
            continue;
        }
        bell.data.fd = take_in(door, SOCK_NONBLOCK);
        if (bell.data.fd != -1)
            epoll_ctl(bells, EPOLL_CTL_ADD, bell.data.fd, &bell);
    }
}
