/* short_write.c: sends once, and assumes that all of it went.
 *
 * Wrong: send() on a non-blocking socket takes as many bytes as there is room for, and
 * returns how many that were. This server ignores the number and loses the rest.
 * Seen: a series of articles on servers in C had this bug for 17 months, because its test
 * sent a few bytes only.
 * Expect: expected the server to stop reading at some time, but it took everything
 * Caught by: tests/server/test_slow_readers.py::test_a_client_that_writes_before_it_reads_is_stuck_and_loses_nothing
 */
#define _GNU_SOURCE
#include "../right.h"

static void serve(int fd, unsigned events)
{
    static char bytes[65536];
    ssize_t length = recv(fd, bytes, sizeof bytes, 0);

    (void)events;
    if (length > 0)
        (void)send(fd, bytes, (size_t)length, MSG_NOSIGNAL);
    else
        close(fd);
}

int main(int argc, char **argv)
{
    serve_with_epoll(open_listener(argc, argv), EPOLLIN, serve);
}
