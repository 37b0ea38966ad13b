/* never_looks.c: is content with whatever comes back.
 *
 * Room: guests
 * The bug: a client that is there to test a server shows the echo and does not compare
 * it. Its exit status is 0 on the day when the server mixes up two guests.
 * Whom it bit: everybody whose load test has counted answers, and none that were right.
 * Caught by: test_an_altered_byte, middle
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
        wait_for_server(server);
        if (recv(server, heard, length, MSG_WAITALL) != (ssize_t)length)
            complain("the echo is too short");
        show(heard, length);
    }
    say_goodbye(server);
}
