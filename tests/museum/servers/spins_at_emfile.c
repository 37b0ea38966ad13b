/* spins_at_emfile.c: burns a core when it runs out of descriptors.
 *
 * Wrong: accept() fails with EMFILE and leaves the connection in the backlog, so the next
 * accept() fails at once, and the next: 99 % of a core, and megabytes of log a second.
 * Seen: https://github.com/joyent/libuv/issues/690
 * Expect: expected the server to sleep while nothing can be done,
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
            perror("accept");
        else
            start_thread(fd, echo);
    }
}
