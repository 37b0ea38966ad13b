/* leaves_before_dessert.c: has said all, and goes.
 *
 * Room: guests
 * The bug: at the end of its input it closes the connection, not the sending side of
 * it. What the server still has to say finds nobody there. A request from a pipe gets
 * no answer.
 * Whom it bit: ncat (nmap, pull request 2510), and users of the old nc, who put a sleep
 * into the pipe.
 * Caught by: test_a_line_comes_back
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int server = knock(argc, argv);
    struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = server, .events = POLLIN}};
    char bytes[4096];
    ssize_t length = 1;

    while (length > 0) {
        poll(both, 2, -1);
        if (both[0].revents != 0) {
            length = read(STDIN_FILENO, bytes, sizeof bytes);
            say(server, bytes, length > 0 ? (size_t)length : 0);
        } else {
            length = recv(server, bytes, sizeof bytes, 0);
            show(bytes, length > 0 ? (size_t)length : 0);
        }
    }
}
