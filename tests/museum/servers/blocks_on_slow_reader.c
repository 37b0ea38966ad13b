/* blocks_on_slow_reader.c: a client that does not read stops all the others.
 *
 * Wrong: epoll_wait() says which connection can be read; the write that follows waits
 * until there is room. When a client does not read its echo, the only thread sleeps in
 * that write.
 * Seen: the select servers of the textbooks, one of which names the danger itself.
 * Expect: expected an echo for client B, whatever others do, but it hears nothing.
 * Caught by: tests/server/test_slow_readers.py::test_a_client_that_never_reads_holds_up_nobody
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
    serve_with_epoll(open_listener(argc, argv), EPOLLIN, serve);
}
