/* 05-async-tasks/server_guest.c: the waiter's work at one table, as three async
 * functions.
 *
 * Ten thousand guests who wait are ten thousand `struct serve_guest`, and nothing else:
 * the plate is borrowed when an order has come. What is never alive at the same time
 * shares its memory in a union; rustc does the same to its state machines.
 */
#include "server_guest.h"

#include <errno.h>
#include <string.h>

#include "ctrl_c.h"
#include "plates.h"
#include "process.h"
#include "task.h"
#include "timer.h"

#define QUIET_MS 100 /* at closing time: who has been silent for so long is done */

bool guest_quiet;
int64_t guest_idle_ms = FOREVER;

/* ---- async fn serve_order: one read, and all of it written ----------------------------
 *
 * 1; 0: the guest has said goodbye; -EAGAIN: nothing was there; or -errno, logged. */

struct serve_order {
    struct future future;
    struct frame frame;
    struct tcp_stream *stream;
    unsigned char *plate;
    struct tcp_write_all write_all;
};

static long failed(const char *call, long error)
{
    if (error != -EAGAIN)
        log_error("Failed to %s socket; err = %s", call, strerror((int)-error));
    return error;
}

static struct poll serve_order_poll(struct future *future, struct waker *waker)
{
    long length, error;

    ASYNC_BEGIN(serve_order);
    self->plate = plate_take();
    if (self->plate == NULL)
        ASYNC_RETURN(failed("read from", -ENOMEM));
    length = tcp_try_read(self->stream, self->plate, PLATE_SIZE);
    if (length < 0)
        ASYNC_RETURN(failed("read from", length));
    if (length == 0)
        ASYNC_RETURN(0);
    AWAIT(error, self->write_all,
          tcp_write_all(self->stream, self->plate, (size_t)length));
    if (error < 0)
        ASYNC_RETURN(failed("write to", error));
    ASYNC_END(1);
}

static void serve_order_drop(struct future *future)
{
    struct serve_order *self = (struct serve_order *)future;
    frame_drop(&self->frame);
    plate_return(self->plate);
}

static struct serve_order serve_order(struct tcp_stream *stream)
{
    static const struct future_kind kind = {serve_order_poll, serve_order_drop};
    return (struct serve_order){.future = {&kind}, .stream = stream};
}

static bool guest_stays(long answer)
{
    return answer > 0 || answer == -EAGAIN;
}

/* ---- async fn say_goodbye: last orders, our goodbye, and wait for his -------------- */

struct say_goodbye {
    struct future future;
    struct frame frame;
    struct tcp_stream *stream;
    union {
        struct {
            struct tcp_readable readable;
            struct timeout patience;
        };
        struct serve_order order;
    };
};

/* What a guest says after our goodbye is heard and forgotten. To close with bytes unread
 * would be a reset, which can destroy an echo that is still under way. */
static long forget_order(struct tcp_stream *stream)
{
    unsigned char *plate = plate_take();
    long length = plate != NULL ? tcp_try_read(stream, plate, PLATE_SIZE) : -ENOMEM;
    plate_return(plate);
    return length;
}

static struct poll say_goodbye_poll(struct future *future, struct waker *waker)
{
    long answer;

    ASYNC_BEGIN(say_goodbye);
    for (;;) {
        self->readable = tcp_readable(self->stream);
        AWAIT(answer, self->patience, timeout(&self->readable.future, QUIET_MS));
        if (answer == -ETIMEDOUT)
            break;
        AWAIT(answer, self->order, serve_order(self->stream));
        if (!guest_stays(answer))
            ASYNC_RETURN(answer);
    }
    tcp_shutdown(self->stream);
    do
        AWAIT(answer, self->readable, tcp_readable(self->stream));
    while (guest_stays(forget_order(self->stream)));
    ASYNC_END(0);
}

static void say_goodbye_drop(struct future *future)
{
    frame_drop(&((struct say_goodbye *)future)->frame);
}

static struct say_goodbye say_goodbye(struct tcp_stream *stream)
{
    static const struct future_kind kind = {say_goodbye_poll, say_goodbye_drop};
    return (struct say_goodbye){.future = {&kind}, .stream = stream};
}

/* ---- async fn serve_guest: the task ------------------------------------------------ */

struct serve_guest {
    struct future future;
    struct frame frame;
    struct tcp_stream stream;
    struct address who;
    union {
        struct {
            struct tcp_readable readable;
            struct timeout patience;
            struct until_ctrl_c open;
        };
        struct serve_order order;
        struct say_goodbye goodbye;
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

static struct poll serve_guest_poll(struct future *future, struct waker *waker)
{
    long answer;

    ASYNC_BEGIN(serve_guest);
    for (;;) {
        AWAIT(answer, self->open, until_ctrl_c(next_order(self)));
        if (answer == -ECANCELED)
            break;
        if (answer == -ETIMEDOUT)
            ASYNC_RETURN(0);
        AWAIT(answer, self->order, serve_order(&self->stream));
        if (!guest_stays(answer))
            ASYNC_RETURN(0);
    }
    AWAIT(answer, self->goodbye, say_goodbye(&self->stream));
    ASYNC_END(0);
}

static void serve_guest_drop(struct future *future)
{
    struct serve_guest *self = (struct serve_guest *)future;
    frame_drop(&self->frame);
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
