/* connects_to_itself.c: takes its own echo for a server's.
 *
 * Wrong: No server listens on the port, but the port is one that the kernel gives to
 * clients. Once in some ten thousand times it gives this very one: then the socket is
 * connected to itself, and everything that it sends comes back.
 * Seen: https://github.com/tokio-rs/tokio/issues/3405
 * Expect: but it has talked to itself: exit status 0.
 * Caught by: tests/client/test_addresses.py::test_a_client_does_not_take_itself_for_a_server
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    int server = connect_unchecked(argc, argv);
    char bytes[4096];
    size_t length;

    while ((length = read_stdin(server, bytes, sizeof bytes)) > 0) {
        send_or_fail(server, bytes, length);
        expect_echo(server, bytes, length);
        print(bytes, length);
    }
    finish(server);
}
