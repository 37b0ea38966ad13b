/* fd_set_overflow.c: a descriptor that does not fit into the set.
 *
 * Room: door
 * The bug: an fd_set has room for the descriptors 0 to 1,023. FD_SET(1100, &set) writes
 * into the memory of somebody else, and nobody tells you, unless the compiler's
 * _FORTIFY_SOURCE ends the process.
 * Whom it bit: oatpp (issue 926), Nim (19973); and a limit of descriptors above 1,024
 * is nothing special any more.
 * Caught by: test_descriptors_beyond_1024_are_as_good_as_others
 */
#define _GNU_SOURCE
#include "right.h"

#include <sys/select.h>

static int serve_guest(int guest) /* has he left? */
{
    char bytes[4096];
    ssize_t length = recv(guest, bytes, sizeof bytes, 0);
    return length <= 0 || send(guest, bytes, (size_t)length, MSG_NOSIGNAL) != length;
}

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0), last = door;
    fd_set watched, ready;

    FD_ZERO(&watched);
    FD_SET(door, &watched);
    for (;;) {
        ready = watched;
        select(last + 1, &ready, NULL, NULL, NULL);
        for (int fd = 0; fd <= last; fd++) {
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == door) {
                int guest = take_in(door, 0);
                if (guest == -1)
                    continue;
                FD_SET(guest, &watched);
                last = guest > last ? guest : last;
            } else if (serve_guest(fd)) {
                FD_CLR(fd, &watched);
                close(fd);
            }
        }
    }
}
