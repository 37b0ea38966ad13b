/* dies_at_emfile.c: without descriptors it gives up.
 *
 * Room: larder
 * The bug: EMFILE is a shortage that passes as soon as a guest leaves; this server
 * takes it for the end of the world, and so ends all the guests whom it serves well.
 * Whom it bit: the tutorial server of Tokio, whose accept().await? leaves main().
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
            return EXIT_FAILURE;
        }
        start_host(guest, serve_until_goodbye);
    }
}
