/* no_timeout.c: waits for ever.
 *
 * Wrong: When the server hangs, or the network is cut so that neither an end nor a reset
 * can arrive, recv() blocks until somebody kills the program.
 * Seen: https://github.com/banu/tinyproxy/pull/2
 * Expect: expected the client to end, but it is still running after
 * Caught by: tests/client/test_patience.py::test_a_server_without_progress_is_given_up
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    int server = connect_to_server(argc, argv);
    char sent[4096], received[4096];
    size_t length;

    while ((length = read_stdin(server, sent, sizeof sent)) > 0) {
        send_or_fail(server, sent, length);
        if (recv(server, received, length, MSG_WAITALL) != (ssize_t)length ||
            memcmp(sent, received, length) != 0)
            give_up("the echo differs from what was sent");
        print(received, length);
    }
    finish(server);
}
