/* 05-async-tasks/server_guest.c: the waiter's work at one table, as an async function.
 *
 * Ten thousand guests who wait are ten thousand `struct serve_guest`, and nothing else:
 * the plate is borrowed when an order has come. What is never alive at the same time
 * shares its memory in a union; rustc does the same to its state machines.
 */
#include "server_guest.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "ctrl_c.h"
#include "plates.h"
#include "process.h"
#include "task.h"
#include "timer.h"

#define QUIET_MS 100  /* at closing time: who has been silent for so long is done */
#define LEAVE_MS 5000 /* so long after our goodbye we wait for his */

bool guest_quiet;
int64_t guest_idle_ms = FOREVER;

/* ---- async fn serve_guest ---------------------------------------------------------- */

struct serve_guest {
    struct future future;
    struct frame frame;
    struct tcp_stream stream;
    struct address who;
    unsigned char *plate; /* with his order; NULL while he waits */
    union {
        struct {
            struct tcp_readable readable;
            struct timeout patience;
            union {
                struct until_ctrl_c open;
                int64_t leave_by; /* after our goodbye; as clock_now() counts */
            };
        };
        struct tcp_write_all write_all;
    };
};

/* The wait for an order; with --idle-timeout, for so long and no longer. */
static struct future *next_order(struct serve_guest *self)
{
    self->readable = tcp_readable(&self->stream);
    if (guest_idle_ms == FOREVER)
        return &self->readable.future;
    self->patience = timeout(&self->readable.future, guest_idle_ms);
    return &self->patience.future;
}

/* At closing time, or when it is for his goodbye: only for `ms` milliseconds. */
static struct timeout last_order(struct serve_guest *self, int64_t ms)
{
    self->readable = tcp_readable(&self->stream);
    return timeout(&self->readable.future, ms);
}

static void clear_table(struct serve_guest *self)
{
    plate_return(self->plate);
    self->plate = NULL;
}

static long failed(const char *call, long error)
{
    if (error != -EAGAIN)
        log_error("Failed to %s socket; err = %s", call, strerror((int)-error));
    return error;
}

/* Reads an order onto a plate, and returns its length. Or else there is no plate, and the
 * answer is 0: that was his goodbye; -EAGAIN: nothing was there; -errno, logged. */
static long take_order(struct serve_guest *self)
{
    self->plate = plate_take();
    if (self->plate == NULL)
        return failed("read from", -ENOMEM);
    long length = tcp_try_read(&self->stream, self->plate, PLATE_SIZE);
    if (length <= 0)
        clear_table(self);
    return length < 0 ? failed("read from", length) : length;
}

/* What a guest says after our goodbye. To close with bytes unread would be a reset, which
 * can destroy an echo that is still under way. Returns whether he is still there. */
static bool forget_order(struct serve_guest *self)
{
    long length = take_order(self);
    clear_table(self);
    return length > 0 || length == -EAGAIN;
}

static struct poll serve_guest_poll(struct future *future, struct waker *waker)
{
    long length, error;

    ASYNC_BEGIN(serve_guest);
    for (;;) {
        AWAIT(error, self->open, until_ctrl_c(next_order(self)));
        if (error == -ECANCELED)
            AWAIT(error, self->patience, last_order(self, QUIET_MS));
        if (error == -ETIMEDOUT)
            break;
        length = take_order(self);
        if (length == -EAGAIN)
            continue;
        if (length <= 0)
            ASYNC_RETURN(length);
        AWAIT(error, self->write_all,
              tcp_write_all(&self->stream, self->plate, (size_t)length));
        if (error < 0)
            ASYNC_RETURN(failed("write to", error));
        clear_table(self);
    }
    tcp_shutdown(&self->stream);
    self->leave_by = clock_now() + LEAVE_MS;
    do {
        AWAIT(error, self->patience, last_order(self, self->leave_by - clock_now()));
    } while (error == 0 && clock_now() < self->leave_by && forget_order(self));
    ASYNC_END(0);
}

static void serve_guest_drop(struct future *future)
{
    struct serve_guest *self = (struct serve_guest *)future;
    frame_drop(&self->frame);
    clear_table(self);
    tcp_close(&self->stream);
    if (!guest_quiet)
        log_line("Connection closed by %s", address_name(&self->who).text);
}

void seat_guest(struct tcp_stream stream, const struct address *who)
{
    static const struct future_kind kind = {serve_guest_poll, serve_guest_drop};
    struct serve_guest guest = {.future = {&kind}, .stream = stream, .who = *who};

    if (!guest_quiet)
        log_line("New connection from: %s", address_name(who).text);
    struct join waiter = spawn(guest);
    if (!task_detach(&waiter))
        log_error("Failed to serve %s; err = %s", address_name(who).text,
                  strerror(ENOMEM));
}
