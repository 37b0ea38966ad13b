/* 02-threads/server.c: a host for every guest.
 *
 * The host at the door takes in a guest and hands him to a host of his own: a thread.
 * Each of them may sleep in a call as long as he likes; nobody else waits for it. The
 * kernel switches between them; the price is a stack for each.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "process.h"
#include "sockets.h"

#define PLATE_SIZE (64 * 1024)
#define REST_MS 100 /* when nobody can be taken in: look at the door again after this */

/* A thread's own stack: the plate, and as much again for everything else, of which we
 * have measured an eighth in use (tests/test_server_stacks.py). Only pages that are
 * touched cost memory; but where addresses are limited (ulimit -v, 32 bits) the default
 * of 8 MiB is a wall after a handful of guests. */
#define STACK_SIZE (2 * PLATE_SIZE)

/* What the host at the door tells the host at the table; freed by the latter. */
struct guest {
    int socket;
    bool quiet;
    struct address who;
};

/* A blocking write takes everything, unless something interrupts it; then it tells how
 * many bytes it took. A non-blocking one, from chapter 03 on, takes what there is room
 * for. Whoever ignores that number loses the rest. Returns 0 or -errno. */
static int write_all(int guest, const unsigned char *plate, size_t length)
{
    while (length > 0) {
        ssize_t sent = socket_write(guest, plate, length);
        if (sent < 0)
            return (int)sent;
        plate += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* Until the guest leaves: take an order, bring it back. An error ends this guest, never
 * the restaurant. */
static void serve_guest(int guest)
{
    unsigned char plate[PLATE_SIZE];

    for (;;) {
        ssize_t length = socket_read(guest, plate, sizeof plate);
        if (length == 0)
            return; /* the guest has said goodbye, and everything is on his table */
        if (length < 0) {
            log_error("Failed to read from socket; err = %s", strerror((int)-length));
            return;
        }
        int error = write_all(guest, plate, (size_t)length);
        if (error < 0) {
            log_error("Failed to write to socket; err = %s", strerror(-error));
            return;
        }
    }
}

/* A thread's whole life: one guest. */
static void *host(void *argument)
{
    struct guest guest = *(struct guest *)argument;

    free(argument);
    serve_guest(guest.socket);
    /* all is sent; what close() could still report changes nothing */
    (void)close(guest.socket);
    if (!guest.quiet)
        log_line("Connection closed by %s", address_name(&guest.who).text);
    return NULL;
}

/* Finds a host for the guest. No memory or no thread left: this guest is turned away, and
 * those who have a host notice nothing. */
static void seat(struct guest seated, const pthread_attr_t *attributes)
{
    pthread_t thread;
    struct guest *guest = malloc(sizeof *guest);
    int error = ENOMEM;

    if (guest != NULL) {
        *guest = seated;
        error = pthread_create(&thread, attributes, host, guest);
    }
    if (error != 0) {
        log_error("Failed to serve %s; err = %s", address_name(&seated.who).text,
                  strerror(error));
        free(guest);
        (void)close(seated.socket);
    }
}

/* Nobody waits for a host to come home: detached, his stack is free when he has finished.
 * And no thread gets a heap of its own: each would set 64 MiB of addresses aside. */
static void describe_hosts(pthread_attr_t *attributes)
{
    (void)mallopt(M_ARENA_MAX, 1); /* without it: fewer guests at once */
    int error = pthread_attr_init(attributes);
    if (error == 0)
        error = pthread_attr_setdetachstate(attributes, PTHREAD_CREATE_DETACHED);
    if (error == 0)
        error = pthread_attr_setstacksize(attributes, STACK_SIZE);
    if (error != 0)
        fail("thread attributes: %s", strerror(error));
}

/* No descriptor or no memory for one more guest. He stays at the door; asking again at
 * once would only burn the processor. Says so once; *shortage is the error said last. */
static void rest_at_the_door(int error, int *shortage)
{
    if (error != *shortage)
        log_error("Failed to accept; err = %s; trying again", strerror(error));
    *shortage = error;
    (void)poll(NULL, 0, REST_MS); /* waits for nobody; too short a rest does no harm */
}

int main(int argc, char **argv)
{
    struct address here;
    pthread_attr_t attributes;
    int shortage = 0;

    process_start("server");
    struct server_options options = server_options(argc, argv);
    describe_hosts(&attributes);
    int door = socket_listen(options.host, options.port, 0, &here);
    log_line("✅ Server listening on %s", address_name(&here).text);

    for (;;) {
        struct guest guest = {.quiet = options.quiet};
        guest.socket = socket_accept(door, 0, &guest.who);
        if (guest.socket < 0) {
            rest_at_the_door(-guest.socket, &shortage);
            continue;
        }
        shortage = 0;
        if (!options.quiet)
            log_line("New connection from: %s", address_name(&guest.who).text);
        seat(guest, &attributes);
    }
}
