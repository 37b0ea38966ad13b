/* waits_for_ever.c: has more patience than its user.
 *
 * Room: guests
 * The bug: no time-out. When the server hangs, or when its cable is cut so that no FIN
 * and no RST can come, recv() sleeps until somebody pulls the plug.
 * Whom it bit: open62541 (issue 539), tinyproxy (issue 9), influxdb-cpp (issue 52,
 * which had set a time-out for sending only).
 * Caught by: test_a_server_without_progress_is_given_up, silent-conversation
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int server = knock(argc, argv);
    char said[4096], heard[4096];
    size_t length;

    while ((length = read_keyboard(server, said, sizeof said)) > 0) {
        say(server, said, length);
        if (recv(server, heard, length, MSG_WAITALL) != (ssize_t)length ||
            memcmp(said, heard, length) != 0)
            complain("the echo is not what was said");
        show(heard, length);
    }
    say_goodbye(server);
}
