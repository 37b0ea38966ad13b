/* one_read_per_message.c: takes the first piece of the echo for all of it.
 *
 * Wrong: One send(), so one recv(). TCP carries bytes, not messages: what was sent in one
 * piece may come back in fifty, and does as soon as the network is slow.
 * Seen: a Modbus client, an agent for SSH keys, a test for Heartbleed, each with an
 * issue.
 * Expect: expected exit status 0, and nothing on stderr, but it is exit status 1.
 * Caught by: tests/client/test_conversation.py::test_an_echo_in_pieces_or_late_is_still_an_echo
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
        wait_for_server(server);
        ssize_t count = recv(server, received, length, 0);
        if (count <= 0 || memcmp(sent, received, (size_t)count) != 0)
            give_up("the echo differs from what was sent");
        print(received, (size_t)count);
    }
    finish(server);
}
