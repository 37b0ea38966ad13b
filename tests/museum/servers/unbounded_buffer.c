/* unbounded_buffer.c: keeps whatever comes.
 *
 * Room: larder
 * The bug: what cannot be written yet is kept, which is right, and the server goes on
 * reading, which is not: a guest who sends and never reads makes it keep everything,
 * for ever.
 * Whom it bit: libuv's own echo server (256 MiB unread raise its memory to 261 MB), and
 * most event loops with a convenient write().
 * Caught by: test_memory_stays_bounded_when_nobody_reads
 */
#define _GNU_SOURCE
#include "right.h"

#define MAX 4096

static struct pollfd seats[MAX];
static struct plate { char *bytes; size_t start, end; } plates[MAX];

static int serve_guest(struct pollfd *seat, struct plate *plate) /* has he left? */
{
    char bytes[65536];
    ssize_t length = seat->events & POLLIN ? recv(seat->fd, bytes, sizeof bytes, 0) : -1;

    if (seat->revents & (POLLERR | POLLHUP))
        return 1;
    if (length == 0)
        seat->events = 0; /* all is read; he leaves when all is written */
    if (length > 0) {
        plate->bytes = realloc(plate->bytes, plate->end + (size_t)length);
        memcpy(plate->bytes + plate->end, bytes, (size_t)length);
        plate->end += (size_t)length;
    }
    ssize_t sent = send(seat->fd, plate->bytes + plate->start, plate->end - plate->start,
                        MSG_NOSIGNAL);
    plate->start += sent > 0 ? (size_t)sent : 0;
    if (plate->start == plate->end)
        *plate = (struct plate){.bytes = plate->bytes};
    seat->events = (short)((seat->events & POLLIN) | (plate->end > 0 ? POLLOUT : 0));
    return seat->events == 0;
}

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, SOCK_NONBLOCK);
    nfds_t count = 1;

    seats[0] = (struct pollfd){.fd = door, .events = POLLIN};
    for (;;) {
        poll(seats, count, -1);
        for (nfds_t i = count - 1; i > 0; i--)
            if (seats[i].revents != 0 && serve_guest(&seats[i], &plates[i])) {
                close(seats[i].fd);
                free(plates[i].bytes);
                seats[i] = seats[--count];
                plates[i] = plates[count];
            }
        int guest = count < MAX ? take_in(door, SOCK_NONBLOCK) : -1;
        if (guest != -1) {
            seats[count] = (struct pollfd){.fd = guest, .events = POLLIN};
            plates[count++] = (struct plate){0};
        }
    }
}
