/* dies_of_aborted_guest.c: one who turned round at the door is its end.
 *
 * Room: door
 * The bug: accept() may report the error of a guest who is gone already: ECONNABORTED,
 * EPROTO. That is his trouble and no trouble of the door, but this server gives up its
 * door.
 * Whom it bit: tiny-http (issue 283), hickory-dns (pull request 3726), gnet (issue
 * 453), squid (measurement-factory/squid, pull request 27); and socat 1.7.4, as the
 * same test shows.
 * Caught by: test_an_accept_that_fails_for_once_ends_nothing, the-guest-is-gone
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, 0);

    for (;;) {
        int guest = accept(door, NULL, NULL);
        if (guest == -1)
            give_up("accept");
        start_host(guest, serve_until_goodbye);
    }
}
