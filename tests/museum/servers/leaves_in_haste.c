/* leaves_in_haste.c: SIGTERM, and it drops everything where it stands.
 *
 * Room: goodbyes
 * The bug: "clean up and exit" is taken for exit. A guest in the middle of his echo, or
 * one who stands at the door with his order in his hand, gets a RST.
 * Whom it bit: nginx has worker_shutdown_timeout, so as to wait, and not for ever.
 * Caught by: test_who_stands_at_the_door_is_still_served, 300
 */
#define _GNU_SOURCE
#include "right.h"

#include <signal.h>

static void go_home(int number)
{
    (void)number; /* all of them mean the same */
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    signal(SIGTERM, go_home);
    take_in_guests(open_door(argc, argv, 0), serve_until_goodbye);
}
