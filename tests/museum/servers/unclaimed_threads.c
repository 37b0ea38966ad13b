/* unclaimed_threads.c: never buries its threads.
 *
 * Room: larder
 * The bug: a thread that has ended keeps its stack until somebody joins it, or for
 * nobody's sake if it is detached. This server does neither.
 * Whom it bit: eggdrop (pull request 1303) ran out of memory; so did chan-sccp (pull
 * request 593) and musl-nscd (pull request 18).
 * Caught by: test_thousands_of_guests_in_a_row_leave_no_trace
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);

    for (;;) {
        pthread_t thread;
        int guest = take_in(door, 0);
        void *argument = (void *)(long)guest;
        if (guest == -1)
            continue;
        if (pthread_create(&thread, NULL, serve_until_goodbye, argument) != 0)
            close(guest);
    }
}
