/* blocks_on_slow_reader.c: one who does not read stops them all.
 *
 * The bug: poll() says who can be read; the write that follows is a blocking one. When a guest
 * does not read his echo, the only thread sleeps in that write.
 * Whom it bit: the select server of the best-loved book on network programming, which names
 * the danger itself.
 * Caught by: test_a_guest_who_never_reads_holds_up_nobody
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int write_all(int guest, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(guest, bytes, length, MSG_NOSIGNAL);
        if (sent == -1)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static int serve_guest(int guest) /* has he left? */
{
    char bytes[4096];
    ssize_t length = read(guest, bytes, sizeof bytes);
    return length <= 0 || write_all(guest, bytes, (size_t)length) == -1;
}

static int open_door(const char *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((unsigned short)atoi(port)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(door, (struct sockaddr *)&here, sizeof here) == -1 || listen(door, 4096) == -1) {
        perror("listen");
        exit(EXIT_FAILURE);
    }
    return door;
}

#define MAX 4096

int main(int argc, char **argv)
{
    static struct pollfd seats[MAX];
    nfds_t count = 1;

    seats[0] = (struct pollfd){.fd = open_door(argc > 1 ? argv[1] : "8080"), .events = POLLIN};
    for (;;) {
        seats[0].events = count < MAX ? POLLIN : 0;
        poll(seats, count, -1);
        for (nfds_t i = count - 1; i > 0; i--)
            if (seats[i].revents != 0 && serve_guest(seats[i].fd)) {
                close(seats[i].fd);
                seats[i] = seats[--count];
            }
        int guest = seats[0].revents != 0 ? accept(seats[0].fd, NULL, NULL) : -1;
        if (guest != -1)
            seats[count++] = (struct pollfd){.fd = guest, .events = POLLIN};
    }
}
