/* fd_set_overflow.c: puts a descriptor into a set that has no room for it.
 *
 * Wrong: An fd_set holds the descriptors 0 to 1,023. FD_SET(1100, &set) writes past its
 * end, and nothing says so, unless _FORTIFY_SOURCE (as here) ends the process.
 * Seen: https://github.com/oatpp/oatpp/issues/926,
 * https://github.com/nim-lang/Nim/issues/19973
 * Expect: ended with SIGABRT.
 * Caught by: tests/server/test_walls.py::test_1100_clients_are_served_at_once
 */
#define _GNU_SOURCE
#include "../right.h"

#include <sys/select.h>

static bool serve(int fd)
{
    char bytes[4096];
    ssize_t length = recv(fd, bytes, sizeof bytes, 0);

    return length > 0 && send_all(fd, bytes, (size_t)length);
}

int main(int argc, char **argv)
{
    int listener = open_listener(argc, argv), last = listener;
    fd_set watched, ready;

    FD_ZERO(&watched);
    FD_SET(listener, &watched);
    for (;;) {
        ready = watched;
        if (select(last + 1, &ready, NULL, NULL, NULL) == -1)
            continue;
        for (int fd = 0; fd <= last; fd++) {
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == listener) {
                int accepted = accept_or_wait(listener, 0);
                if (accepted == -1)
                    continue;
                FD_SET(accepted, &watched);
                last = accepted > last ? accepted : last;
            } else if (!serve(fd)) {
                FD_CLR(fd, &watched);
                close(fd);
            }
        }
    }
}
