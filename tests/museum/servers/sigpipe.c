/* sigpipe.c: dies of SIGPIPE.
 *
 * Room: goodbyes
 * The bug: write() to a guest who is gone raises SIGPIPE, and nobody has said what to
 * do then. The default is to end the process, with all the other guests.
 * Whom it bit: the very first servers of many books; libuv's guide (uvbook, issue 4).
 * Caught by: test_writing_to_a_guest_that_is_gone_does_not_kill, FIN-then-RST
 */
#define _GNU_SOURCE
#include "right.h"

static int write_unguarded(int guest, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = write(guest, bytes, length);
        if (sent == -1)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    char bytes[1024];
    ssize_t length;

    while ((length = read(guest, bytes, sizeof bytes)) > 0)
        if (write_unguarded(guest, bytes, (size_t)length) == -1)
            break;
    close(guest);
    return NULL;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
