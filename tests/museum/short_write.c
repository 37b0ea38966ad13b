/* short_write.c: sends once and believes that all of it went.
 *
 * The bug: send() on a non-blocking socket takes what there is room for. Its result tells how
 * much that was; whoever does not look loses the rest.
 * Whom it bit: a well-known series on concurrent servers: the bug lived for 17 months, because
 * its test sent a few bytes only; curl has a debug switch to find its own.
 * Caught by: test_a_guest_who_reads_only_after_the_last_byte_gets_everything
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve_guest(int guest)
{
    static char bytes[65536];
    ssize_t length = recv(guest, bytes, sizeof bytes, 0);

    if (length > 0)
        (void)send(guest, bytes, (size_t)length, MSG_NOSIGNAL);
    else
        close(guest);
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

int main(int argc, char **argv)
{
    int door = open_door(argc > 1 ? argv[1] : "8080");
    int bells = epoll_create1(0);
    struct epoll_event bell = {.events = EPOLLIN, .data.fd = door};

    epoll_ctl(bells, EPOLL_CTL_ADD, door, &bell);
    for (;;) {
        if (epoll_wait(bells, &bell, 1, -1) != 1)
            continue; /* EINTR: stopped with Ctrl-Z, and woken again */
        if (bell.data.fd != door) {
            serve_guest(bell.data.fd);
            continue;
        }
        bell.data.fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
        if (bell.data.fd != -1)
            epoll_ctl(bells, EPOLL_CTL_ADD, bell.data.fd, &bell);
    }
}
