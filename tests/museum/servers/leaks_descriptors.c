/* leaks_descriptors.c: does not close after an error.
 *
 * Wrong: The end of the input is followed by close(), an error is not. Each reset costs a
 * descriptor, until there are none.
 * Seen: every server whose error paths were never run.
 * Expect: are open: some are never closed.
 * Caught by: tests/server/test_echo.py::test_500_clients_that_say_nothing_leave_no_trace
 */
#define _GNU_SOURCE
#include "../right.h"

static void *serve(void *argument)
{
    int fd = (int)(long)argument;
    char bytes[4096];
    ssize_t length;

    while ((length = read(fd, bytes, sizeof bytes)) != 0)
        if (length == -1 || !send_all(fd, bytes, (size_t)length))
            return NULL;
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    serve_with_threads(open_listener(argc, argv), serve);
}
