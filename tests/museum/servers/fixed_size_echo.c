/* fixed_size_echo.c: brings 512 bytes, whatever was ordered.
 *
 * Room: bytes
 * The bug: what read() returned is looked at for the end, and for nothing else. What is
 * echoed is the buffer, with all that was in it before.
 * Whom it bit: kecho, an echo server inside the kernel.
 * Caught by: test_one_message_comes_back
 */
#define _GNU_SOURCE
#include "right.h"

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    char bytes[512] = {0};

    while (read(guest, bytes, sizeof bytes) > 0)
        if (write_all(guest, bytes, sizeof bytes) == -1)
            break;
    close(guest);
    return NULL;
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
