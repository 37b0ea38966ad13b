/* deaf_to_sigterm.c: does not go home.
 *
 * Room: goodbyes
 * The bug: SIGTERM is ignored. So it is, too, for any program without a handler that
 * runs as process 1 of a container: the kernel spares process 1 the default action.
 * Whom it bit: whoever waits for "docker stop", which gives up after ten seconds and
 * sends SIGKILL.
 * Caught by: test_idle_guests_hear_goodbye_and_the_server_ends, SIGTERM
 */
#define _GNU_SOURCE
#include "right.h"

#include <signal.h>

int main(int argc, char **argv)
{
    signal(SIGTERM, SIG_IGN);
    take_in_guests(open_door(argc, argv, 0), serve_until_goodbye);
}
