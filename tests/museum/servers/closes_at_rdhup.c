/* closes_at_rdhup.c: takes "I have said all" for "I am gone".
 *
 * Room: goodbyes
 * The bug: EPOLLRDHUP tells that the guest has ended his sending side. It comes
 * together with his last bytes, which are still unread, and he still listens; this
 * server closes at once.
 * Whom it bit: netty (issue 4317).
 * Caught by: test_data_and_goodbye_in_one_burst_are_echoed_then_closed
 */
#define _GNU_SOURCE
#include "right.h"

#include <sys/epoll.h>

static void serve_guest(int guest, unsigned events)
{
    char bytes[4096];

    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        close(guest);
        return;
    }
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
            continue; /* EINTR: stopped with Ctrl-Z, and woken again */
        if (bell.data.fd != door) {
            serve_guest(bell.data.fd, bell.events);
            continue;
        }
        int guest = take_in(door, SOCK_NONBLOCK);
        bell = (struct epoll_event){.events = EPOLLIN | EPOLLRDHUP, .data.fd = guest};
        epoll_ctl(bells, EPOLL_CTL_ADD, guest, &bell);
    }
}
