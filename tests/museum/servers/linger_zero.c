/* linger_zero.c: slams the door to be rid of TIME_WAIT.
 *
 * Room: goodbyes
 * The bug: SO_LINGER with 0 seconds makes close() send a RST instead of a FIN. No
 * connection rests in TIME_WAIT then, and that is why people do it. But a RST throws
 * away all that is still on its way: the end of every long echo to a slow reader, and
 * every goodbye.
 * Whom it bit: piknik (pull request 46) was about to, until its author said what it
 * does.
 * Caught by: test_one_message_comes_back
 */
#define _GNU_SOURCE
#include "right.h"

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(guest, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return serve_until_goodbye(argument);
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
