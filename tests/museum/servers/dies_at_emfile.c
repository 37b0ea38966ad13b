/* dies_at_emfile.c: exits when it runs out of descriptors.
 *
 * Wrong: EMFILE passes as soon as a connection is closed. This server takes it for fatal
 * and ends, with every connection that it serves well.
 * Seen: `listener.accept().await?` in the echo server of a well-known tutorial.
 * Expect: ended with exit status 1. Its last words on stderr: accept: Too many open files
 * Caught by: tests/server/test_shortages.py::test_without_descriptors_connections_wait_and_none_is_lost
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    int listener = open_listener(argc, argv);

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd == -1)
            fail("accept");
        start_thread(fd, echo);
    }
}
