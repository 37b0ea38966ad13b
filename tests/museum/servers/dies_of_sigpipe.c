/* dies_of_sigpipe.c: writes to a connection that its peer has reset.
 *
 * Wrong: write() to a connection that the peer has reset raises SIGPIPE, whose default
 * action ends the process and all the other connections with it. MSG_NOSIGNAL, or
 * ignoring SIGPIPE, turns it into an error of this one call.
 * Seen: the first server of many books; https://github.com/nikhilm/uvbook/issues/4
 * Expect: ended with SIGPIPE.
 * Caught by: tests/server/test_resets.py::test_writing_to_a_connection_that_was_reset_does_not_kill
 */
#define _GNU_SOURCE
#include "../right.h"

static void *serve(void *argument)
{
    int fd = (int)(long)argument;
    char bytes[1024];
    ssize_t length, sent;

    while ((length = read(fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t start = 0; start < length; start += sent) {
            sent = write(fd, bytes + start, (size_t)(length - start));
            if (sent == -1)
                break;
        }
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    serve_with_threads(open_listener(argc, argv), serve);
}
