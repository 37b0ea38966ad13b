/* one_accept_an_edge.c: takes in one guest where several have come.
 *
 * The bug: with EPOLLET the bell at the door rings when somebody comes, once, not as long as
 * somebody stands there. Of sixteen who come together one is taken in; the next waits until
 * yet another rings for him.
 * Whom it bit: kecho (issue 2).
 * Caught by: test_guests_who_came_while_the_server_was_away_are_all_served
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
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

static void *serve_guest(void *argument)
{
    int guest = (int)(long)argument;
    char bytes[4096];
    ssize_t length;

    while ((length = read(guest, bytes, sizeof bytes)) > 0)
        if (write_all(guest, bytes, (size_t)length) == -1)
            break;
    close(guest);
    return NULL;
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
    struct epoll_event bell = {.events = EPOLLIN | EPOLLET, .data.fd = door};

    epoll_ctl(bells, EPOLL_CTL_ADD, door, &bell);
    for (;;) {
        if (epoll_wait(bells, &bell, 1, -1) != 1)
            continue; /* EINTR: stopped with Ctrl-Z, and woken again */
        pthread_t thread;
        int guest = accept(door, NULL, NULL);
        if (guest == -1)
            continue;
        if (pthread_create(&thread, NULL, serve_guest, (void *)(long)guest) == 0)
            pthread_detach(thread);
        else
            close(guest);
    }
}
