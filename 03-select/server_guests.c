/* 03-select/server_guests.c: the tables, and what happens at each. See server_guests.h.
 *
 * Each guest has a plate of his own. What he cannot take yet stays on it, and as long as
 * something is on it he is not asked for more: that is backpressure, and it bounds our
 * memory. No call here waits: the sockets are non-blocking.
 */
#include "server_guests.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

#define PLATE_SIZE (64 * 1024) /* also the most a guest gets in one round of the tables */

struct guest {
    bool here;
    bool leaving; /* our goodbye is said: no more orders */
    bool stirred; /* came, or sent something, since we last thought of goodbyes */
    struct address who;
    size_t start, end; /* plate[start..end) could not be written yet */
    unsigned char plate[PLATE_SIZE];
};

static struct guest guests[FD_SETSIZE]; /* a row a descriptor, as in select's own sets */
static int count, last = -1;            /* how many are here; no one sits beyond `last` */

bool guests_quiet;

int guests_count(void)
{
    return count;
}

/* FD_SET() beyond FD_SETSIZE writes past the end of the set: memory of somebody else.
 * This is where select ends, and the next chapter begins. */
void guest_arrive(int fd, const struct address *who)
{
    if (fd >= FD_SETSIZE) {
        log_error("Failed to serve %s; err = select watches descriptors below %d only",
                  address_name(who).text, FD_SETSIZE);
        (void)close(fd);
        return;
    }
    if (!guests_quiet)
        log_line("New connection from: %s", address_name(who).text);
    struct guest *guest = &guests[fd];
    guest->here = true;
    guest->leaving = false;
    guest->stirred = true; /* what he says first may still be on its way */
    guest->start = guest->end = 0;
    guest->who = *who;
    count++;
    last = fd > last ? fd : last;
}

static void guest_leave(int fd)
{
    guests[fd].here = false;
    count--;
    (void)close(fd); /* all is sent; what close() could still report changes nothing */
    if (!guests_quiet)
        log_line("Connection closed by %s", address_name(&guests[fd].who).text);
}

static void guest_fail(int fd, const char *call, ssize_t error)
{
    log_error("Failed to %s socket; err = %s", call, strerror((int)-error));
    guest_leave(fd);
}

/* Sends what it can of the plate; pselect() tells when there is room for the rest. */
static void guest_write(int fd)
{
    struct guest *guest = &guests[fd];
    ssize_t sent =
        socket_write(fd, guest->plate + guest->start, guest->end - guest->start);
    if (sent >= 0)
        guest->start += (size_t)sent;
    else if (sent != -EAGAIN)
        guest_fail(fd, "write to", sent);
}

/* Takes one order, only ever onto an empty plate. */
static void guest_read(int fd)
{
    struct guest *guest = &guests[fd];
    ssize_t length = socket_read(fd, guest->plate, sizeof guest->plate);
    if (length == -EAGAIN)
        return;
    if (length < 0) {
        guest_fail(fd, "read from", length);
    } else if (length == 0) {
        guest_leave(fd);
    } else if (!guest->leaving) { /* else: said after our goodbye, heard and forgotten */
        guest->stirred = true;
        guest->start = 0;
        guest->end = (size_t)length;
        guest_write(fd);
    }
}

static bool has_empty_plate(const struct guest *guest)
{
    return guest->start == guest->end;
}

int guests_watch(fd_set *readers, fd_set *writers)
{
    while (last >= 0 && !guests[last].here)
        last--;
    for (int fd = 0; fd <= last; fd++)
        if (guests[fd].here)
            FD_SET(fd, has_empty_plate(&guests[fd]) ? readers : writers);
    return last;
}

void guests_serve(const fd_set *readers, const fd_set *writers)
{
    for (int fd = 0; fd <= last; fd++) {
        if (guests[fd].here && FD_ISSET(fd, writers))
            guest_write(fd);
        else if (guests[fd].here && FD_ISSET(fd, readers))
            guest_read(fd);
    }
}

/* To close with bytes unread would be a reset, which can destroy an echo that is still
 * under way: so we only end our own side, and read until the guest ends his. */
void guests_say_goodbye(void)
{
    for (int fd = 0; fd <= last; fd++) {
        struct guest *guest = &guests[fd];
        if (guest->here && !guest->leaving && !guest->stirred && has_empty_plate(guest)) {
            guest->leaving = true;
            /* fails for one who is gone: the read will tell */
            (void)shutdown(fd, SHUT_WR);
        }
        guest->stirred = false;
    }
}
