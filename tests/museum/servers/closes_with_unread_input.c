/* closes_with_unread_input.c: at SIGTERM it closes everything and exits.
 *
 * Wrong: A socket that is closed while input is unread is not closed but reset, and a
 * reset destroys the echo that is still under way. Connections in the backlog are reset,
 * too. A clean end reads what was sent, echoes it, shuts down its side and reads to the
 * end.
 * Seen: RFC 1122, 4.2.2.13, describes the reset; the reason for nginx's "lingering
 * close".
 * Expect: more bytes of echo, but Connection reset by peer after 0 bytes of echo.
 * Caught by: tests/server/test_closing.py::test_what_was_sent_before_the_signal_comes_back
 */
#define _GNU_SOURCE
#include "../right.h"

static void end(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    signal(SIGTERM, end);
    serve_with_threads(open_listener(argc, argv), echo);
}
