/* one_read_is_enough.c: takes the first piece for the whole.
 *
 * Room: guests
 * The bug: one send, and so one recv. TCP does not know of messages: what was sent in
 * one piece may come back in fifty, and does as soon as the network is slow.
 * Whom it bit: pyModbusTCP (issue 12), agis/rea (issue 8), ssh-pageant (issue 12), the
 * Heartbleed test of sslscan (issue 159).
 * Caught by: test_an_echo_in_pieces_or_late_is_still_an_echo, in-pieces
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
        ssize_t count = recv(server, heard, length, 0);
        if (count <= 0 || memcmp(said, heard, (size_t)count) != 0)
            complain("the echo is not what was said");
        show(heard, (size_t)count);
    }
    say_goodbye(server);
}
