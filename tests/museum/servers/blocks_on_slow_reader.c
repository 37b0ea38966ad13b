/* blocks_on_slow_reader.c: one who does not read stops them all.
 *
 * Room: sleep
 * The bug: poll() says who can be read; the write that follows is a blocking one. When
 * a guest does not read his echo, the only thread sleeps in that write.
 * Whom it bit: the select server of the best-loved book on network programming, which
 * names the danger itself.
 * Caught by: test_a_guest_who_never_reads_holds_up_nobody
 */
#define _GNU_SOURCE
#include "right.h"

static int serve_guest(int guest) /* has he left? */
{
    char bytes[4096];
    ssize_t length = read(guest, bytes, sizeof bytes);
    return length <= 0 || write_all(guest, bytes, (size_t)length) == -1;
}

#define MAX 4096

int main(int argc, char **argv)
{
    static struct pollfd seats[MAX];
    nfds_t count = 1;

    seats[0] = (struct pollfd){.fd = open_door(argc, argv, 0), .events = POLLIN};
    for (;;) {
        seats[0].events = count < MAX ? POLLIN : 0;
        poll(seats, count, -1);
        for (nfds_t i = count - 1; i > 0; i--)
            if (seats[i].revents != 0 && serve_guest(seats[i].fd)) {
                close(seats[i].fd);
                seats[i] = seats[--count];
            }
        int guest = seats[0].revents != 0 ? take_in(seats[0].fd, 0) : -1;
        if (guest != -1)
            seats[count++] = (struct pollfd){.fd = guest, .events = POLLIN};
    }
}
