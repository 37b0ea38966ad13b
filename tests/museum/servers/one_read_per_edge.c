/* one_read_per_edge.c: reads one buffer where more than one has come.
 *
 * Wrong: With EPOLLET a connection is reported when bytes come, once, not as long as some
 * are unread. This server reads 4,096 of them and waits for the next event. A client that
 * waits for the rest of its echo sends nothing more, so there is none.
 * Seen: epoll(7) answers it as question 9; https://github.com/strongswan/davici/issues/4
 * Expect: expected client A: 55904 more bytes of echo, but nothing happened for
 * Caught by: tests/server/test_half_close.py::test_data_and_end_in_one_burst_are_echoed_then_closed
 */
#define _GNU_SOURCE
#include "../right.h"

static void serve(int fd, unsigned events)
{
    char bytes[4096];
    ssize_t length = recv(fd, bytes, sizeof bytes, 0);

    (void)events;
    if (length <= 0 || !send_all(fd, bytes, (size_t)length))
        close(fd);
}

int main(int argc, char **argv)
{
    serve_with_epoll(open_listener(argc, argv), EPOLLIN | EPOLLET, serve);
}
