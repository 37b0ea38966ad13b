/* dies_at_reset.c: an error of one connection ends the server.
 *
 * Wrong: read() fails with ECONNRESET when the peer resets the connection. This server
 * treats it as any error of a system call: it prints the error and exits.
 * Seen: a series of articles on servers in C, where one reset ends each of four servers.
 * Expect: ended with exit status 1. Its last words on stderr: read: Connection reset by
 * peer
 * Caught by: tests/server/test_resets.py::test_after_a_reset_the_next_client_is_served
 */
#define _GNU_SOURCE
#include "../right.h"

static void *serve(void *argument)
{
    int fd = (int)(long)argument;
    char bytes[4096];
    ssize_t length;

    while ((length = read(fd, bytes, sizeof bytes)) > 0)
        if (!send_all(fd, bytes, (size_t)length))
            break;
    if (length == -1)
        fail("read");
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    serve_with_threads(open_listener(argc, argv), serve);
}
