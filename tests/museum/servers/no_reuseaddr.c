/* no_reuseaddr.c: closed for a minute after every restart.
 *
 * Room: door
 * The bug: without SO_REUSEADDR bind() fails as long as an old connection of the same
 * port rests in TIME_WAIT. The server works for a year, and does not come back from its
 * first restart.
 * Whom it bit: open62541 (issue 6463), basex (pull request 172), zq1 (pull request
 * 292).
 * Caught by: test_a_restart_on_the_same_port_works_at_once
 */
#define _GNU_SOURCE
#include "right.h"

static int open_door_simply(int argc, char **argv)
{
    struct sockaddr_in here = loopback(argc, argv);
    int door = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(door, (struct sockaddr *)&here, sizeof here) == -1 ||
        listen(door, 4096) == -1)
        give_up("listen");
    return door;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door_simply(argc, argv), serve_until_goodbye);
}
