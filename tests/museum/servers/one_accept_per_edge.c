/* one_accept_per_edge.c: accepts one connection where several have come.
 *
 * Wrong: With EPOLLET the listener is reported when a connection comes, once, not as long
 * as one is there. Of sixteen that come together this server accepts one; the next waits
 * until yet another comes.
 * Seen: https://github.com/sysprog21/kecho/pull/2
 * Expect: expected client B: 5 more bytes of echo, but nothing happened for
 * Caught by: tests/server/test_crowds.py::test_clients_that_came_while_it_was_stopped_are_all_served
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    int listener = open_listener(argc, argv);
    struct epoll_event event;

    epoll_fd = epoll_create1(0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN | EPOLLET);
    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
            continue; /* EINTR: stopped with Ctrl-Z, and continued */
        int fd = accept_or_wait(listener, 0);
        if (fd != -1)
            start_thread(fd, echo);
    }
}
