/* ends_at_nul.c: takes bytes for a string.
 *
 * Room: bytes
 * The bug: strlen() of what came. A NUL in the middle ends the "string", and what lies
 * behind it is never echoed.
 * Whom it bit: chat servers without number, as long as nobody sends a picture.
 * Caught by: test_any_bytes_come_back_unchanged, NUL
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
        if (write_all(guest, text, strlen(text)) == -1)
            break;
    }
    close(guest);
    return NULL;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
