/* leaks_descriptors.c: does not close after an error.
 *
 * Wrong: the end of the input is followed by close(), an error is not. Each reset costs a
 * descriptor, until there are none.
 * Seen: every server whose error paths were never run.
 * Expect: TODO
 * Caught by: TODO
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
