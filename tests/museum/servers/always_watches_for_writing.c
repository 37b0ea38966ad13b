/* always_watches_for_writing.c: burns a core while every client is silent.
 *
 * Wrong: A socket can be written to nearly always, so epoll_wait() returns at once, each
 * time. Watch for writing only while something is unsent.
 * Seen: the first event loop of nearly everybody.
 * Expect: expected the server to sleep while nothing can be done,
 * Caught by: tests/server/test_crowds.py::test_a_crowd_is_served_rests_and_leaves_no_trace
 */
#define _GNU_SOURCE
#include "../right.h"

static void serve(int fd, unsigned events)
{
    char bytes[4096];
    ssize_t length = recv(fd, bytes, sizeof bytes, 0);

    (void)events;
    if (length == -1 && errno == EAGAIN)
        return;
    if (length <= 0 || !send_all(fd, bytes, (size_t)length))
        close(fd);
}

int main(int argc, char **argv)
{
    serve_with_epoll(open_listener(argc, argv), EPOLLIN | EPOLLOUT, serve);
}
