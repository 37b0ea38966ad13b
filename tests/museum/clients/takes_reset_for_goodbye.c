/* takes_reset_for_goodbye.c: thinks that whoever goes has said goodbye.
 *
 * Room: guests
 * The bug: while ((n = recv(...)) > 0) ends at the end, n == 0, and at an error, n ==
 * -1, and nobody asks which of the two it was. Half a file, and exit status 0.
 * Whom it bit: sentry-native (pull request 1620), which took a reset for a delivery and
 * did not try again.
 * Caught by: test_a_connection_that_is_reset
 */
#define _GNU_SOURCE
#include "right.h"

static int hear_echo_carelessly(int server, const char *said, size_t length)
{
    char heard[4096];

    for (ssize_t count; length > 0; length -= (size_t)count, said += count) {
        wait_for_server(server);
        if ((count = recv(server, heard, length, 0)) <= 0)
            return -1;
        if (memcmp(said, heard, (size_t)count) != 0)
            complain("the echo is not what was said");
        show(heard, (size_t)count);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int server = knock(argc, argv);
    char said[4096];
    size_t length;

    while ((length = read_keyboard(server, said, sizeof said)) > 0)
        if (write_all(server, said, length) == -1 ||
            hear_echo_carelessly(server, said, length) == -1)
            return EXIT_SUCCESS;
    say_goodbye(server);
}
