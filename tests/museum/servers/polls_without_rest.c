/* polls_without_rest.c: runs from table to table while everybody is asleep.
 *
 * Room: sleep
 * The bug: the time-out of poll() is 0, "look and come back at once", where -1 was
 * meant. All guests are served, and quickly; a core is busy day and night.
 * Whom it bit: polycube (pull request 130) with the sister of this mistake: select()
 * had counted the time-out down to 0, and nobody set it anew.
 * Caught by: test_a_guest_who_never_reads_costs_no_cpu
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    struct pollfd door = {.fd = open_door(argc, argv, SOCK_NONBLOCK), .events = POLLIN};

    for (;;) {
        poll(&door, 1, 0);
        int guest = take_in(door.fd, 0);
        if (guest != -1)
            start_host(guest, serve_until_goodbye);
    }
}
