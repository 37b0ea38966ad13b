/* The least that an echo server on epoll can do, to measure the others by:
 *
 *   bare_epoll PORT BUFFER [nodelay]
 *
 * It has no state and handles no error, and a client that does not read holds up all the
 * others. Nothing correct on epoll costs less. Not to be copied.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 256

static int open_listener(uint16_t port, int nodelay)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons(port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == -1 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, sizeof nodelay) == -1 ||
        bind(fd, (struct sockaddr *)&here, sizeof here) == -1 || listen(fd, SOMAXCONN) == -1) {
        perror("bare_epoll");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* The socket blocks, so send() takes all of it and there is nothing to remember. */
static void echo(int fd, unsigned char *buffer, size_t size)
{
    ssize_t length = recv(fd, buffer, size, 0);
    if (length <= 0)
        close(fd);
    else
        send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    size_t size = (size_t)atol(argv[2]);
    unsigned char *buffer = malloc(size);
    int epoll_fd = epoll_create1(0);
    int listener = open_listener((uint16_t)atoi(argv[1]), argc > 3);

    watch(epoll_fd, listener);
    for (;;) {
        struct epoll_event events[BATCH];
        int count = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                watch(epoll_fd, accept(listener, NULL, NULL));
            else
                echo(events[i].data.fd, buffer, size);
    }
}
