/* blocks_on_stdin.c: listens to the keyboard and to nothing else.
 *
 * Wrong: It waits for a line in a read() that knows nothing of the socket. The server may
 * have closed the connection an hour ago; the user learns of it after the next line.
 * Seen: the first client of every book on sockets, which then brings in select(). 01's
 * cannot do better, and its page says so.
 * Expect: expected the client to end, but it is still running after
 * Caught by: tests/client/test_conversation.py::test_a_keyboard_left_alone_is_no_reason_to_miss_the_servers_end
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    int server = connect_to_server(argc, argv);
    char bytes[4096];
    ssize_t length;

    while ((length = read(STDIN_FILENO, bytes, sizeof bytes)) > 0) {
        send_or_fail(server, bytes, (size_t)length);
        expect_echo(server, bytes, (size_t)length);
        print(bytes, (size_t)length);
    }
    finish(server);
}
