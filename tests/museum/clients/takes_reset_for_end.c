/* takes_reset_for_end.c: reports success after half a file.
 *
 * Wrong: `while ((n = recv(...)) > 0)` stops at the end of the input, where n is 0, and
 * at an error, where it is -1. This client does not ask which of the two it was.
 * Seen: a reporter of crashes that took a reset for a delivery, and did not try again.
 * Expect: but it is exit status 0, and stderr is: ''.
 * Caught by: tests/client/test_wrong_servers.py::test_a_connection_that_is_reset
 */
#define _GNU_SOURCE
#include "../right.h"

static bool read_echo(int server, const char *sent, size_t length)
{
    char received[4096];

    for (ssize_t count; length > 0; length -= (size_t)count, sent += count) {
        wait_for_server(server);
        if ((count = recv(server, received, length, 0)) <= 0)
            return false;
        if (memcmp(sent, received, (size_t)count) != 0)
            give_up("the echo differs from what was sent");
        print(received, (size_t)count);
    }
    return true;
}

int main(int argc, char **argv)
{
    int server = connect_to_server(argc, argv);
    char sent[4096];
    size_t length;

    while ((length = read_stdin(server, sent, sizeof sent)) > 0)
        if (!send_all(server, sent, length) || !read_echo(server, sent, length))
            return EXIT_SUCCESS;
    finish(server);
}
