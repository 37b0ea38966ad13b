/* dies_at_reset.c: one guest's error ends the server.
 *
 * Room: goodbyes
 * The bug: read() fails with ECONNRESET when a guest leaves by a RST, and "an error of
 * a system call" is handled as everywhere else: say it and exit.
 * Whom it bit: a well-known series on concurrent servers in C: one RST ends all four of
 * them.
 * Caught by: test_a_guest_that_resets_leaves_the_next_one_served, before_any_byte
 */
#define _GNU_SOURCE
#include "right.h"

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    char bytes[4096];
    ssize_t length;

    while ((length = read(guest, bytes, sizeof bytes)) > 0)
        if (write_all(guest, bytes, (size_t)length) == -1)
            break;
    if (length == -1) {
        perror("read");
        exit(EXIT_FAILURE);
    }
    close(guest);
    return NULL;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
