/* 01-blocking/server.c: one host, one guest at a time.
 *
 * The whole restaurant is one thread: the host. He opens the door, leads a guest to a
 * table, takes an order, brings the plate, takes the next order ... and looks at the door
 * again when that guest has left. Every call below may put the host to sleep.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "process.h"
#include "sockets.h"

#define PLATE_SIZE (64 * 1024)
#define REST_MS 100 /* when nobody can be taken in: look at the door again after this */

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
    static unsigned char plate[PLATE_SIZE];

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
    struct address here, who;
    int shortage = 0;

    process_start("server");
    struct server_options options = server_options(argc, argv);
    int door = socket_listen(options.host, options.port, 0, &here);
    log_line("✅ Server listening on %s", address_name(&here).text);

    for (;;) {
        int guest = socket_accept(door, 0, &who);
        if (guest < 0) {
            rest_at_the_door(-guest, &shortage);
            continue;
        }
        shortage = 0;
        if (!options.quiet)
            log_line("New connection from: %s", address_name(&who).text);
        serve_guest(guest);
        /* all is sent; what close() could still report changes nothing */
        (void)close(guest);
        if (!options.quiet)
            log_line("Connection closed by %s", address_name(&who).text);
    }
}
