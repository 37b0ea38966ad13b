/* blocks_on_stdin.c: listens to the keyboard and to nothing else.
 *
 * Wrong: it waits for a line in a read() that knows nothing of the socket. The server may
 * have closed the connection an hour ago; the user learns of it after the next line.
 * Seen: the first client of every book on sockets, which then brings in select(). 01's
 * cannot do better, and its page says so.
 * Expect: TODO
 * Caught by: TODO
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
