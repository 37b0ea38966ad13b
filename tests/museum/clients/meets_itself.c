/* meets_itself.c: is the best of friends with itself.
 *
 * Room: guests
 * The bug: nobody listens at the port, but it is one that the kernel hands out to
 * clients. Once in some ten thousand times it hands out this very one: then the socket
 * is connected to itself, and everything it says comes back.
 * Whom it bit: ktor (pull request 2237), tarantool (issue 204), OpenDJ (issue 728);
 * tokio (issue 3405) leaves it to the caller to look.
 * Caught by: test_a_client_does_not_take_itself_for_a_server
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int server = knock_blindly(argc, argv);
    char said[4096];
    size_t length;

    while ((length = read_keyboard(server, said, sizeof said)) > 0) {
        say(server, said, length);
        hear_echo(server, said, length);
        show(said, length);
    }
    say_goodbye(server);
}
