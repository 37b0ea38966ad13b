/* 04-epoll/server_guests.c: the tables, and what happens at each. See server_guests.h.
 *
 * A bell rings once for each change (edge-triggered): "something came", "there is room
 * again". Whoever hears it must remember it until it is used up. So each guest is a state
 * machine: what he waits for, what has rung, and a place in the queue when he has more to
 * say than one turn holds.
 */
#include "server_guests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "plates.h"
#include "process.h"

#define TURN 8 /* orders a guest may give before it is the next one's turn */

/* After one of these a short read is not the last: there is a goodbye to come, or an
 * error; or the read stopped before an urgent byte (MSG_OOB). */
#define MORE_TO_COME (EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)

enum state {
    READING,  /* waits for an order; has no plate */
    WRITING,  /* plate[start..end) could not be written yet */
    DRAINING, /* our goodbye is said: reads, and forgets, until his */
};

struct guest {
    int fd;
    enum state state;
    uint32_t heard; /* what his bell has said, in epoll's words, and is not used up */
    bool stirred;   /* came, or sent something, since we last thought of goodbyes */
    bool queued;
    struct address who;
    size_t start, end;    /* of what is still to be sent, on the plate */
    unsigned char *plate; /* WRITING: borrowed; else NULL */
    struct guest *next;   /* in the queue */
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

/* Only ever called in the guest's own turn, when he is not in the queue: no other event
 * of this batch is for him. */
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

static bool can_go_on(const struct guest *guest)
{
    return guest->heard & (guest->state == WRITING ? EPOLLOUT : EPOLLIN);
}

/* The two steps below return whether another one can follow at once; when not, the guest
 * waits for his bell, or has left. */

/* WRITING: sends what it can. A write that took less than all has filled the kernel's
 * buffer: the bell will ring when there is room. When the plate is empty: READING. */
static bool guest_write(struct guest *guest)
{
    size_t left = guest->end - guest->start;
    ssize_t sent = socket_write(guest->fd, guest->plate + guest->start, left);

    if (sent == (ssize_t)left) {
        plate_return(guest->plate);
        guest->plate = NULL;
        guest->state = READING;
        return can_go_on(guest);
    }
    if (sent < 0 && sent != -EAGAIN) {
        guest_fail(guest, "write to", sent);
        return false;
    }
    guest->start += sent > 0 ? (size_t)sent : 0;
    guest->heard &= ~(uint32_t)EPOLLOUT;
    return false;
}

/* An order has come: what is on the plate goes back at once, as far as there is room. */
static bool guest_order(struct guest *guest, unsigned char *plate, size_t length)
{
    guest->plate = plate;
    guest->start = 0;
    guest->end = length;
    guest->state = WRITING;
    guest->stirred = true;
    return guest_write(guest);
}

/* READING, DRAINING: reads onto a borrowed plate. A read that brought less than asked for
 * has emptied the kernel's buffer; to read once more only to be told EAGAIN would be a
 * call for nothing. */
static bool guest_read(struct guest *guest)
{
    unsigned char *plate = plate_take();
    ssize_t length = plate == NULL ? -ENOMEM : socket_read(guest->fd, plate, PLATE_SIZE);

    if (length != PLATE_SIZE && (length <= 0 || !(guest->heard & MORE_TO_COME)))
        guest->heard &= ~(uint32_t)EPOLLIN;
    if (length > 0 && guest->state == READING)
        return guest_order(guest, plate, (size_t)length);
    plate_return(plate); /* nothing came; or, while DRAINING, heard and forgotten */
    if (length > 0 || length == -EAGAIN)
        return can_go_on(guest);
    if (length == 0)
        guest_leave(guest);
    else
        guest_fail(guest, "read from", length);
    return false;
}

/* As far as it goes, but no farther than a turn: then to the end of the queue, because no
 * bell will ring for what we have left undone ourselves. */
static void guest_serve(struct guest *guest)
{
    bool more = true;

    for (int order = 0; more && order < TURN; order++)
        more = guest->state == WRITING ? guest_write(guest) : guest_read(guest);
    if (more)
        queue_add(guest);
}

/* Who has hung up, or was cut off, is worth a read and a write: they tell. */
void guest_ring(int fd, uint32_t events)
{
    struct guest *guest = guests[fd];
    if (guest == NULL)
        return; /* cannot be while guests leave at their own bell only; see the README */
    if (events & (EPOLLHUP | EPOLLERR))
        events |= EPOLLIN | EPOLLOUT;
    guest->heard |= events;
    if (can_go_on(guest) && !guest->queued)
        guest_serve(guest);
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
