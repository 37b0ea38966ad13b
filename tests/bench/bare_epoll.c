/* tests/bench/bare_epoll.c: the least that an echo server on epoll can do. The floor.
 *
 *   bare_epoll PORT BUFFER [nodelay]
 *
 * No state, no error handling, no fairness: a guest who does not read holds up everybody.
 * Nothing correct on epoll can cost less than this does. Not to be copied.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 256

static bool nodelay;
static size_t size;

static int open_door(const char *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)atoi(port)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    int door = socket(AF_INET, SOCK_STREAM, 0);

    if (door == -1 ||
        setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == -1 ||
        bind(door, (struct sockaddr *)&here, sizeof here) == -1 ||
        listen(door, SOMAXCONN) == -1) {
        perror("bare_epoll");
        exit(EXIT_FAILURE);
    }
    return door;
}

static void watch(int bells, int fd)
{
    struct epoll_event bell = {.events = EPOLLIN, .data.fd = fd};
    (void)epoll_ctl(bells, EPOLL_CTL_ADD, fd, &bell);
}

static void accept_guest(int bells, int door)
{
    int yes = 1;
    int guest = accept(door, NULL, NULL);

    if (nodelay)
        (void)setsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    watch(bells, guest);
}

/* The socket blocks: so send() takes all of it, and there is nothing to remember. */
static void echo(int guest, unsigned char *buffer)
{
    ssize_t length = recv(guest, buffer, size, 0);
    if (length <= 0)
        (void)close(guest);
    else
        (void)send(guest, buffer, (size_t)length, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    struct epoll_event events[BATCH];

    if (argc < 3 || atol(argv[2]) <= 0)
        return 2;
    size = (size_t)atol(argv[2]);
    nodelay = argc > 3 && strcmp(argv[3], "nodelay") == 0;
    unsigned char *buffer = malloc(size);
    int bells = epoll_create1(0), door = open_door(argv[1]);

    watch(bells, door);
    for (;;) {
        int rung = epoll_wait(bells, events, BATCH, -1);
        for (int i = 0; i < rung; i++)
            if (events[i].data.fd == door)
                accept_guest(bells, door);
            else
                echo(events[i].data.fd, buffer);
    }
}
