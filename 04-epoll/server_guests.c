/* 04-epoll/server_guests.c: the tables, and what happens at each. See server_guests.h.
 *
 * A bell rings once for each change (edge-triggered): "something came", "there is room
 * again". Who has heard it must remember it until it is used up. So each guest is a state
 * machine: what he waits for, what has rung, and a place in the queue when the two meet.
 */
#include "server_guests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "plates.h"
#include "process.h"

#define TURN 8 /* steps a guest may go before it is the next one's turn */

enum state {
    READING,  /* waits for an order; has no plate */
    WRITING,  /* plate[start..end) could not be written yet */
    DRAINING, /* our goodbye is said: reads, and forgets, until his */
};

struct guest {
    int fd;
    enum state state;
    bool readable, writable; /* the bell has rung for it, and it is not used up */
    /* goodbye, or an urgent byte: a short read is not the last */
    bool ended;
    bool stirred; /* came, or sent something, since we last thought of goodbyes */
    bool queued;
    struct address who;
    size_t start, end;
    unsigned char *plate;
    struct guest *next; /* in the queue */
};

static struct guest **guests; /* by descriptor; NULL: nobody */
static int rows, count;       /* how long that table is; how many are here */
/* who can be served, first come first */
static struct guest *queue, **queue_end = &queue;

bool guests_quiet;

int guests_count(void)
{
    return count;
}

static void queue_add(struct guest *guest)
{
    if (guest->queued)
        return;
    guest->queued = true;
    guest->next = NULL;
    *queue_end = guest;
    queue_end = &guest->next;
}

static bool make_row(int fd)
{
    if (fd < rows)
        return true;
    int more = 2 * fd + 64;
    struct guest **longer = realloc(guests, (size_t)more * sizeof *longer);
    if (longer == NULL)
        return false;
    memset(longer + rows, 0, (size_t)(more - rows) * sizeof *longer);
    guests = longer;
    rows = more;
    return true;
}

/* Everything that can fail when a guest is seated. Returns 0 or -errno. */
static int seat(int bells, int fd, const struct address *who)
{
    struct guest *guest = make_row(fd) ? calloc(1, sizeof *guest) : NULL;
    const uint32_t all = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP;
    struct epoll_event bell = {.events = all | EPOLLET, .data.fd = fd};
    if (guest == NULL)
        return -ENOMEM;
    if (epoll_ctl(bells, EPOLL_CTL_ADD, fd, &bell) == -1) {
        int error = -errno;
        free(guest);
        return error;
    }
    guest->fd = fd;
    guest->who = *who;
    guest->stirred = true; /* what he says first may still be on its way */
    guests[fd] = guest;
    count++;
    return 0;
}

void guest_arrive(int bells, int fd, const struct address *who)
{
    int error = seat(bells, fd, who);
    if (error < 0) {
        log_error("Failed to serve %s; err = %s", address_name(who).text,
                  strerror(-error));
        (void)close(fd);
    } else if (!guests_quiet) {
        log_line("New connection from: %s", address_name(who).text);
    }
}

/* Only ever called in the guest's own turn, when he is not in the queue; and the events
 * of a batch have all been noted before the first turn. So nobody remembers him. */
static void guest_leave(struct guest *guest)
{
    guests[guest->fd] = NULL;
    count--;
    /* epoll forgets a descriptor that is closed: CLOEXEC, no dup */
    (void)close(guest->fd);
    plate_return(guest->plate);
    if (!guests_quiet)
        log_line("Connection closed by %s", address_name(&guest->who).text);
    free(guest);
}

static void guest_fail(struct guest *guest, const char *call, ssize_t error)
{
    log_error("Failed to %s socket; err = %s", call, strerror((int)-error));
    guest_leave(guest);
}

/* The two steps below return whether another step can follow at once; when not, the guest
 * waits for his bell, or has left. */

/* WRITING: sends what it can. A write that took less than all has filled the kernel's
 * buffer: the bell will ring when there is room. When the plate is empty: READING. */
static bool guest_write(struct guest *guest)
{
    ssize_t sent = socket_write(guest->fd, guest->plate + guest->start,
                                guest->end - guest->start);
    if (sent < 0 && sent != -EAGAIN) {
        guest_fail(guest, "write to", sent);
        return false;
    }
    guest->start += sent > 0 ? (size_t)sent : 0;
    guest->writable = guest->start == guest->end;
    if (!guest->writable)
        return false;
    plate_return(guest->plate);
    guest->plate = NULL;
    guest->state = READING;
    return true;
}

/* READING, DRAINING: takes an order onto a borrowed plate. A read that brought less than
 * asked for has emptied the kernel's buffer; to read once more only to be told EAGAIN
 * would be a call for nothing. But after a goodbye there is one more to come: 0. And a
 * read stops before an urgent byte (MSG_OOB): after one of those only EAGAIN counts. */
static bool guest_read(struct guest *guest)
{
    unsigned char *plate = plate_take();
    ssize_t length = plate == NULL ? -ENOMEM : socket_read(guest->fd, plate, PLATE_SIZE);
    if (length > 0 && guest->state == READING) {
        guest->plate = plate;
        guest->start = 0;
        guest->end = (size_t)length;
        guest->state = WRITING;
        guest->stirred = true;
    } else {
        plate_return(plate); /* while DRAINING: heard and forgotten */
    }
    guest->readable = length == PLATE_SIZE || (length > 0 && guest->ended);
    if (length == 0)
        guest_leave(guest);
    else if (length < 0 && length != -EAGAIN)
        guest_fail(guest, "read from", length);
    return length > 0;
}

static bool can_go_on(const struct guest *guest)
{
    return guest->state == WRITING ? guest->writable : guest->readable;
}

/* As far as it goes, but no farther than a turn: then to the end of the queue, because no
 * bell will ring for what we have left undone ourselves. */
static void guest_serve(struct guest *guest)
{
    for (int step = 0; step < TURN; step++) {
        if (!can_go_on(guest))
            return;
        if (!(guest->state == WRITING ? guest_write(guest) : guest_read(guest)))
            return;
    }
    queue_add(guest);
}

void guest_ring(int fd, uint32_t events)
{
    struct guest *guest = guests[fd];
    if (guest == NULL)
        return; /* has left; this was still in the air */
    const uint32_t over = EPOLLERR | EPOLLHUP;
    guest->readable |= (events & (EPOLLIN | EPOLLRDHUP | over)) != 0;
    guest->writable |= (events & (EPOLLOUT | over)) != 0;
    guest->ended |= (events & (EPOLLRDHUP | EPOLLPRI | over)) != 0;
    if (can_go_on(guest))
        queue_add(guest);
}

bool guests_serve(void)
{
    struct guest *turn = queue;

    queue = NULL;
    queue_end = &queue;
    while (turn != NULL) {
        struct guest *guest = turn;
        turn = guest->next;
        guest->queued = false;
        guest_serve(guest);
    }
    return queue != NULL;
}

/* To close with bytes unread would be a reset, which can destroy an echo that is still
 * under way: so we only end our own side, and read until the guest ends his. */
void guests_say_goodbye(void)
{
    for (int fd = 0; fd < rows; fd++) {
        struct guest *guest = guests[fd];
        if (guest == NULL)
            continue;
        if (guest->state == READING && !guest->stirred && !guest->queued) {
            guest->state = DRAINING;
            /* fails for one who is gone: the read will tell */
            (void)shutdown(fd, SHUT_WR);
        }
        guest->stirred = false;
    }
}
