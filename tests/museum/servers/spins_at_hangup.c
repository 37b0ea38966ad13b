/* spins_at_hangup.c: a hang-up that nobody answers.
 *
 * Room: sleep
 * The bug: while a guest has no room, this server asks for POLLOUT only, and looks at
 * POLLOUT only. POLLERR and POLLHUP come without being asked for; after a RST they come
 * each time, poll() never sleeps again, and send() is called for ever by a loop that
 * ignores its error.
 * Whom it bit: seastar (issue 64).
 * Caught by: test_the_reset_of_a_stalled_guest_does_not_make_the_server_spin
 */
#define _GNU_SOURCE
#include "right.h"

#define MAX 1024

static struct pollfd seats[MAX];
static struct plate {
    size_t start, end;
    char bytes[16384];
} plates[MAX];

static int serve_guest(struct pollfd *seat, struct plate *plate) /* has he left? */
{
    if (seat->revents & POLLIN) {
        ssize_t length = recv(seat->fd, plate->bytes, sizeof plate->bytes, 0);
        if (length <= 0)
            return 1;
        plate->start = 0;
        plate->end = (size_t)length;
    }
    ssize_t sent = send(seat->fd, plate->bytes + plate->start, plate->end - plate->start,
                        MSG_NOSIGNAL);
    if (sent > 0)
        plate->start += (size_t)sent;
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
            if (seats[i].revents != 0 && serve_guest(&seats[i], &plates[i])) {
                close(seats[i].fd);
                seats[i] = seats[--count];
                plates[i] = plates[count];
            }
        int guest = count < MAX ? take_in(door, SOCK_NONBLOCK) : -1;
        if (guest != -1)
            seats[count++] = (struct pollfd){.fd = guest, .events = POLLIN};
    }
}
