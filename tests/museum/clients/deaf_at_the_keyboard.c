/* deaf_at_the_keyboard.c: sits at the keyboard and hears nothing else.
 *
 * Room: guests
 * The bug: it waits for a line to be typed, in a read() that knows nothing of the
 * socket. The server may have said goodbye an hour ago; the user learns of it after the
 * next line.
 * Whom it bit: the first client of every book on sockets, which then needs select().
 * Chapter 01 cannot do better, and says so.
 * Caught by: test_a_keyboard_left_alone_is_no_reason_to_miss_the_servers_end
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int server = knock(argc, argv);
    char said[4096];
    ssize_t length;

    while ((length = read(STDIN_FILENO, said, sizeof said)) > 0) {
        say(server, said, (size_t)length);
        hear_echo(server, said, (size_t)length);
        show(said, (size_t)length);
    }
    say_goodbye(server);
}
