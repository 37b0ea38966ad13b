/* spins_at_emfile.c: without descriptors it burns the processor.
 *
 * The bug: accept() fails with EMFILE and leaves the guest at the door, so that the next
 * accept() fails at once again, and again: 99 % of a core, and a log of megabytes a second.
 * Whom it bit: nearly everybody; libuv 690, tokio 3529.
 * Caught by: test_without_descriptors_guests_wait_and_nobody_is_lost
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
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
    for (;;) {
        pthread_t thread;
        int guest = accept(door, NULL, NULL);
        if (guest == -1) {
            perror("accept");
            continue;
        }
        if (pthread_create(&thread, NULL, serve_guest, (void *)(long)guest) == 0)
            pthread_detach(thread);
        else
            close(guest);
    }
}
