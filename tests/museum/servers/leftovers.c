/* leftovers.c: serves you what the last guest at your table has left.
 *
 * Room: bytes
 * The bug: what waits to be sent is kept in a table, by the number of the descriptor.
 * When a guest goes it is not thrown away. The kernel gives his number to the next one,
 * who is sent the secrets of a stranger.
 * Whom it bit: gnet (issue 621), where a late write went to the next guest with that
 * number.
 * Caught by: test_a_guest_that_resets_leaves_the_next_one_served,
 * while_the_server_sends
 */
#define _GNU_SOURCE
#include "right.h"

#define MAX 4096

static struct pollfd seats[MAX];
static struct plate {
    size_t start, end;
    char bytes[16384];
} plates[MAX];

static int serve_guest(struct pollfd *seat) /* has he left? */
{
    struct plate *plate = &plates[seat->fd];

    if (plate->start == plate->end) {
        ssize_t length = recv(seat->fd, plate->bytes, sizeof plate->bytes, 0);
        if (length <= 0)
            return 1;
        plate->start = 0;
        plate->end = (size_t)length;
    }
    ssize_t sent = send(seat->fd, plate->bytes + plate->start, plate->end - plate->start,
                        MSG_NOSIGNAL);
    if (sent == -1 && errno != EAGAIN)
        return 1;
    plate->start += sent > 0 ? (size_t)sent : 0;
    seat->events = plate->start < plate->end ? POLLOUT : POLLIN;
    return 0;
}

int main(int argc, char **argv)
{
    int door = open_door(argc, argv, SOCK_NONBLOCK);
    nfds_t count = 1;

    seats[0] = (struct pollfd){.fd = door, .events = POLLIN};
    for (;;) {
        poll(seats, count, -1);
        for (nfds_t i = count - 1; i > 0; i--)
            if (seats[i].revents != 0 && serve_guest(&seats[i])) {
                close(seats[i].fd);
                seats[i] = seats[--count];
            }
        int guest = count < MAX ? take_in(door, SOCK_NONBLOCK) : -1;
        if (guest != -1)
            seats[count++] = (struct pollfd){.fd = guest, .events = POLLIN};
    }
}
