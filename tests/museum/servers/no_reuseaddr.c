/* no_reuseaddr.c: cannot be restarted for a minute.
 *
 * Wrong: Without SO_REUSEADDR bind() fails as long as an old connection of the same port
 * is in TIME_WAIT. The server works for a year and does not come back from its restart.
 * Seen: https://github.com/open62541/open62541/issues/6463
 * Expect: Its last words on stderr: bind: Address already in use
 * Caught by: tests/server/test_closing.py::test_a_restart_on_the_same_port_works_at_once
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    struct sockaddr_in here = loopback(argc, argv);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(listener, (struct sockaddr *)&here, sizeof here) == -1)
        fail("bind");
    listen(listener, 4096);
    serve_with_threads(listener, echo);
}
