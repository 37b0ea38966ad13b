/* spins_at_emfile.c: without descriptors it burns the processor.
 *
 * Room: larder
 * The bug: accept() fails with EMFILE and leaves the guest at the door, so that the
 * next accept() fails at once again, and again: 99 % of a core, and a log of megabytes
 * a second.
 * Whom it bit: nearly everybody; libuv 690, tokio 3529.
 * Caught by: test_without_descriptors_guests_wait_and_nobody_is_lost
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);
    for (;;) {
        int guest = accept(door, NULL, NULL);
        if (guest == -1) {
            perror("accept");
            continue;
        }
        start_host(guest, serve_until_goodbye);
    }
}
