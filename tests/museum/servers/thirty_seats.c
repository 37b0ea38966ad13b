/* thirty_seats.c: takes in everybody, and has a seat for thirty.
 *
 * Room: door
 * The bug: a new guest is put on the first free seat of an array. When none is free the
 * loop ends, and so does all thought of him: he is connected, nobody ever reads what he
 * says, and his descriptor is lost.
 * Whom it bit: whoever has typed in a tutorial on select() that begins with "int
 * client_socket[30]", such as the one of binarytides.com.
 * Caught by: test_200_guests_speak_at_once_and_nothing_is_crossed
 */
#define _GNU_SOURCE
#include "right.h"

#define SEATS 30

static void serve_guest(struct pollfd *seat)
{
    char bytes[4096];
    ssize_t length = recv(seat->fd, bytes, sizeof bytes, 0);

    if (length > 0 && write_all(seat->fd, bytes, (size_t)length) == 0)
        return;
    close(seat->fd);
    seat->fd = -1; /* poll() skips it: the seat is free */
}

static void find_a_seat(struct pollfd *seats, int guest)
{
    for (int i = 1; i <= SEATS; i++)
        if (seats[i].fd == -1) {
            seats[i] = (struct pollfd){.fd = guest, .events = POLLIN};
            return;
        }
}

int main(int argc, char **argv)
{
    struct pollfd seats[1 + SEATS] = {{.fd = open_door(argc, argv, 0), .events = POLLIN}};

    for (int i = 1; i <= SEATS; i++)
        seats[i].fd = -1;
    for (;;) {
        poll(seats, 1 + SEATS, -1);
        for (int i = 1; i <= SEATS; i++)
            if (seats[i].fd != -1 && seats[i].revents != 0)
                serve_guest(&seats[i]);
        if (seats[0].revents != 0)
            find_a_seat(seats, take_in(seats[0].fd, 0));
    }
}
