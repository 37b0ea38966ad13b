/* zombies.c: does not ask how its children have died.
 *
 * Room: larder
 * The bug: a process for each guest, and no wait(). A child that has ended stays in the
 * table of processes, as a zombie, for the parent who never asks; until the table is
 * full.
 * Whom it bit: btest-opensource (pull request 14), pgmoneta (issue 939), pgexporter
 * (issue 425) and the first server of everybody who learns fork().
 * Caught by: test_five_hundred_guests_who_say_nothing_leave_no_trace
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);

    for (;;) {
        int guest = take_in(door, 0);
        if (guest == -1)
            continue;
        if (fork() == 0) {
            close(door);
            serve_until_goodbye((void *)(long)guest);
            _exit(EXIT_SUCCESS);
        }
        close(guest);
    }
}
