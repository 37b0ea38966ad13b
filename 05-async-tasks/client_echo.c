/* client_echo.c: what the three ways to visit are made of. See client_echo.h. */
#include "client_echo.h"

#include <errno.h>
#include <string.h>

#include "sockets.h"

#define PATIENCE_MS (PATIENCE * 1000)

void find_server(const struct client_options *options, struct server_place *place)
{
    place->count = socket_resolve(options->host, options->port, place->list);
}

/* ---- connect_any ------------------------------------------------------------------- */

static struct poll connect_any_poll(struct future *future, struct waker *waker)
{
    const struct address *server;
    long error;

    ASYNC_BEGIN(connect_any);
    for (self->at = 0; self->at < self->place->count; self->at++) {
        self->connect = tcp_connect(&self->place->list[self->at], self->stream);
        AWAIT(error, self->patience, timeout(&self->connect.future, PATIENCE_MS));
        if (error == 0)
            ASYNC_RETURN(0);
        server = &self->place->list[self->at];
        fault_say(self->fault, "connect %s: %s", address_name(server).text,
                  strerror((int)-error));
    }
    ASYNC_END(-1);
}

static void connect_any_drop(struct future *future)
{
    frame_drop(&((struct connect_any *)future)->frame);
}

struct connect_any connect_any(const struct server_place *place,
                               struct tcp_stream *stream, struct fault *fault)
{
    static const struct future_kind kind = {connect_any_poll, connect_any_drop};
    stream->bell = NULL;
    return (struct connect_any){.future = {&kind}, .place = place, .stream = stream,
                                .fault = fault};
}

/* ---- exchange ---------------------------------------------------------------------- */

/* -ETIMEDOUT is what a limit says; told as the end of our patience. */
static bool tell(struct fault *fault, const char *call, long error, size_t offset)
{
    return fault_io(fault, call, error == -ETIMEDOUT ? EAGAIN : (int)-error, offset);
}

/* A read's answer: compares what came. Returns false with the fault told. */
static bool take_echo(struct exchange *self, long length)
{
    size_t offset = self->offset + self->echoed;
    if (length < 0)
        return tell(self->fault, "read", length, offset);
    if (length == 0)
        return fault_early_end(self->fault, offset, self->offset + self->length);
    if (!echo_is_right(self->message + self->echoed, self->echo, (size_t)length, offset,
                       self->fault))
        return false;
    self->echoed += (size_t)length;
    return true;
}

/* Who sends a long message before he reads anything can wait for ever: the server waits
 * for us to read its echo, we wait for it to read our message. A piece always fits into
 * the buffers on the way, so that our turn to read always comes. */
static struct poll exchange_poll(struct future *future, struct waker *waker)
{
    size_t size;
    long answer;

    ASYNC_BEGIN(exchange);
    while (self->sent < self->length) {
        size = self->length - self->sent < PIECE ? self->length - self->sent : PIECE;
        self->write_all = tcp_write_all(self->stream, self->message + self->sent, size);
        self->sent += size;
        AWAIT(answer, self->patience, timeout(&self->write_all.future, PATIENCE_MS));
        if (answer < 0) {
            tell(self->fault, "write", answer, self->offset + self->echoed);
            ASYNC_RETURN(-1);
        }
        while (self->echoed < self->sent) {
            self->read = tcp_read(self->stream, self->echo, self->sent - self->echoed);
            AWAIT(answer, self->patience, timeout(&self->read.future, PATIENCE_MS));
            if (!take_echo(self, answer))
                ASYNC_RETURN(-1);
        }
    }
    ASYNC_END(0);
}

static void exchange_drop(struct future *future)
{
    frame_drop(&((struct exchange *)future)->frame);
}

struct exchange exchange(struct tcp_stream *stream, const char *message, size_t offset,
                         struct fault *fault)
{
    static const struct future_kind kind = {exchange_poll, exchange_drop};
    return (struct exchange){.future = {&kind}, .stream = stream, .message = message,
                             .length = strlen(message), .offset = offset, .fault = fault};
}

/* ---- farewell ---------------------------------------------------------------------- */

static struct poll farewell_poll(struct future *future, struct waker *waker)
{
    long answer;

    ASYNC_BEGIN(farewell);
    tcp_shutdown(self->stream);
    self->read = tcp_read(self->stream, &self->extra, 1);
    AWAIT(answer, self->patience, timeout(&self->read.future, PATIENCE_MS));
    if (answer < 0)
        tell(self->fault, "read", answer, self->offset);
    if (answer > 0)
        fault_extra_byte(self->fault, self->offset);
    ASYNC_END(answer == 0 ? 0 : -1);
}

static void farewell_drop(struct future *future)
{
    frame_drop(&((struct farewell *)future)->frame);
}

struct farewell farewell(struct tcp_stream *stream, size_t offset, struct fault *fault)
{
    static const struct future_kind kind = {farewell_poll, farewell_drop};
    return (struct farewell){.future = {&kind}, .stream = stream, .offset = offset,
                             .fault = fault};
}
