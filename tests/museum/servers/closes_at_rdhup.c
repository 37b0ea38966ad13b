/* closes_at_rdhup.c: takes "I have sent everything" for "I am gone".
 *
 * Wrong: EPOLLRDHUP says that the peer has shut down its sending side. It comes together
 * with the last bytes, which are still unread, and the peer still reads. This server
 * closes at once.
 * Seen: https://github.com/netty/netty/issues/4317
 * Expect: more bytes of echo, but Connection reset by peer after 4 bytes of echo.
 * Caught by: tests/server/test_half_close.py::test_data_and_end_in_one_burst_are_echoed_then_closed
 */
#define _GNU_SOURCE
#include "../right.h"

static void serve(int fd, unsigned events)
{
    char bytes[4096];

    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        close(fd);
        return;
    }
    ssize_t length = recv(fd, bytes, sizeof bytes, 0);
    if (length <= 0 || !send_all(fd, bytes, (size_t)length))
        close(fd);
}

int main(int argc, char **argv)
{
    serve_with_epoll(open_listener(argc, argv), EPOLLIN | EPOLLRDHUP, serve);
}
