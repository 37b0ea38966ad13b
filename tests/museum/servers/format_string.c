/* format_string.c: lets its guests write the format.
 *
 * Room: bytes
 * The bug: what a guest has said goes into the log as printf(bytes), not as
 * printf("%s", bytes). A "%s" in it reads memory that is not there, a "%n" writes into
 * it.
 * Whom it bit: wu-ftpd 2.6.0, where it was a root shell for everybody (CVE-2000-0573).
 * Caught by: test_any_bytes_come_back_unchanged, format
 */
#define _GNU_SOURCE
#include "right.h"

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    char text[4096 + 1];
    ssize_t length;

    while ((length = read(guest, text, sizeof text - 1)) > 0) {
        text[length] = '\0';
        fprintf(stderr, text);
        if (write_all(guest, text, (size_t)length) == -1)
            break;
    }
    close(guest);
    return NULL;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
