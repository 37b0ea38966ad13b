/* format_string.c: lets its clients write the format.
 *
 * Wrong: What a client sent is printed with printf(bytes), not printf("%s", bytes). A
 * "%s" in it reads memory that is not there, a "%n" writes to it. Compilers warn, but in
 * many places not until -Wformat-security asks them to.
 * Seen: a root shell for everybody, in an FTP server of the year 2000 (CVE-2000-0573).
 * Expect: ended with SIGABRT.
 * Caught by: tests/server/test_echo.py::test_any_bytes_come_back_unchanged
 */
#define _GNU_SOURCE
#include "../right.h"

static void *serve(void *argument)
{
    int fd = (int)(long)argument;
    char text[4096 + 1];
    ssize_t length;

    while ((length = read(fd, text, sizeof text - 1)) > 0) {
        text[length] = '\0';
        fprintf(stderr, text);
        if (!send_all(fd, text, (size_t)length))
            break;
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    serve_with_threads(open_listener(argc, argv), serve);
}
