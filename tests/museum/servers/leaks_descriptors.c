/* leaks_descriptors.c: forgets to close on the way out that is seldom taken.
 *
 * Room: larder
 * The bug: the goodbye of a polite guest is followed by close(), an error is not. Each
 * RST costs a descriptor, until there are none.
 * Whom it bit: every server whose error path was never run.
 * Caught by: test_five_hundred_guests_who_say_nothing_leave_no_trace
 */
#define _GNU_SOURCE
#include "right.h"

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    char bytes[4096];

    for (;;) {
        ssize_t length = read(guest, bytes, sizeof bytes);
        if (length == 0)
            break;
        if (length == -1 || write_all(guest, bytes, (size_t)length) == -1)
            return NULL;
    }
    close(guest);
    return NULL;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
