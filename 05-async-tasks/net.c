/* net.c: TCP as futures. See net.h.
 *
 * Every leaf goes the same way: is the descriptor ready, as far as the reactor has heard?
 * If not, leave the waker there, PENDING. If so, and if the task may go on, make the
 * system call, and note what it has used up. -EAGAIN brings us back to the start.
 */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "task.h"

/* The start of every leaf's poll: whether to make the call now. */
static inline bool may_call(struct bell *bell, enum side side, struct waker *waker)
{
    return bell_ready(bell, side, waker) && task_may_go_on(waker);
}

static void close_bell(struct bell **bell)
{
    if (*bell == NULL)
        return;
    reactor_remove(*bell);
    (void)close((*bell)->fd); /* all is sent; what close() could report changes nothing */
    *bell = NULL;
}

void tcp_close(struct tcp_stream *stream)
{
    close_bell(&stream->bell);
}

void tcp_shutdown(struct tcp_stream *stream)
{
    /* fails for who is gone: the read will tell */
    (void)shutdown(stream->bell->fd, SHUT_WR);
}

/* ---- listener ---------------------------------------------------------------------- */

int tcp_listener_from(struct tcp_listener *listener, int door)
{
    listener->bell = NULL;
    return reactor_add(door, EPOLLEXCLUSIVE, &listener->bell);
}

void tcp_listener_close(struct tcp_listener *listener)
{
    close_bell(&listener->bell);
}

int tcp_try_accept(struct tcp_listener *listener, struct tcp_stream *stream,
                   struct address *who)
{
    int fd = socket_accept(listener->bell->fd, SOCK_NONBLOCK, who);
    if (fd < 0) {
        bell_used(listener->bell, READ_SIDE, fd, 0);
        return fd;
    }
    int error = reactor_add(fd, 0, &stream->bell);
    if (error < 0)
        (void)close(fd); /* no memory for this one: he is turned away */
    return error;
}

static struct poll accept_poll(struct future *future, struct waker *waker)
{
    struct tcp_accept *self = (struct tcp_accept *)future;

    while (may_call(self->listener->bell, READ_SIDE, waker)) {
        int error = tcp_try_accept(self->listener, self->stream, self->who);
        if (error != -EAGAIN)
            return READY(error);
    }
    return PENDING;
}

static void accept_drop(struct future *future)
{
    bell_forget(((struct tcp_accept *)future)->listener->bell, READ_SIDE);
}

struct tcp_accept tcp_accept(struct tcp_listener *listener, struct tcp_stream *stream,
                             struct address *who)
{
    static const struct future_kind kind = {accept_poll, accept_drop};
    return (struct tcp_accept){{&kind}, listener, stream, who};
}

/* ---- connect ----------------------------------------------------------------------- */

/* Returns 0 or -errno. */
static int start_connecting(struct tcp_connect *self)
{
    int fd = socket_start_connect(self->server);
    if (fd < 0)
        return fd;
    int error = reactor_add(fd, 0, &self->bell);
    if (error < 0)
        (void)close(fd); /* nothing has been sent */
    return error;
}

static struct poll connect_poll(struct future *future, struct waker *waker)
{
    struct tcp_connect *self = (struct tcp_connect *)future;
    int error = self->bell == NULL ? start_connecting(self) : 0;

    if (error < 0)
        return READY(error);
    if (!may_call(self->bell, WRITE_SIDE, waker))
        return PENDING;
    error = socket_connected(self->bell->fd);
    if (error < 0)
        close_bell(&self->bell);
    self->stream->bell = self->bell;
    self->bell = NULL;
    return READY(error);
}

static void connect_drop(struct future *future)
{
    struct tcp_connect *self = (struct tcp_connect *)future;
    if (self->bell != NULL)
        bell_forget(self->bell, WRITE_SIDE);
    close_bell(&self->bell);
}

struct tcp_connect tcp_connect(const struct address *server, struct tcp_stream *stream)
{
    static const struct future_kind kind = {connect_poll, connect_drop};
    stream->bell = NULL;
    return (struct tcp_connect){{&kind}, server, stream, NULL};
}

/* ---- reading ----------------------------------------------------------------------- */

static struct poll readable_poll(struct future *future, struct waker *waker)
{
    struct tcp_readable *self = (struct tcp_readable *)future;
    return may_call(self->bell, READ_SIDE, waker) ? READY(0) : PENDING;
}

static void readable_drop(struct future *future)
{
    bell_forget(((struct tcp_readable *)future)->bell, READ_SIDE);
}

struct tcp_readable tcp_readable(const struct tcp_stream *stream)
{
    static const struct future_kind kind = {readable_poll, readable_drop};
    return (struct tcp_readable){{&kind}, stream->bell};
}

long tcp_try_read(struct tcp_stream *stream, void *buffer, size_t size)
{
    long length = socket_read(stream->bell->fd, buffer, size);
    bell_used(stream->bell, READ_SIDE, length, (long)size);
    return length;
}

static struct poll read_poll(struct future *future, struct waker *waker)
{
    struct tcp_read *self = (struct tcp_read *)future;

    while (may_call(self->stream->bell, READ_SIDE, waker)) {
        long length = tcp_try_read(self->stream, self->buffer, self->size);
        if (length != -EAGAIN)
            return READY(length);
    }
    return PENDING;
}

static void read_drop(struct future *future)
{
    bell_forget(((struct tcp_read *)future)->stream->bell, READ_SIDE);
}

struct tcp_read tcp_read(struct tcp_stream *stream, void *buffer, size_t size)
{
    static const struct future_kind kind = {read_poll, read_drop};
    return (struct tcp_read){{&kind}, stream, buffer, size};
}

/* ---- writing ----------------------------------------------------------------------- */

static struct poll write_all_poll(struct future *future, struct waker *waker)
{
    struct tcp_write_all *self = (struct tcp_write_all *)future;
    struct bell *bell = self->stream->bell;

    while (self->length > 0) {
        if (!may_call(bell, WRITE_SIDE, waker))
            return PENDING;
        long sent = socket_write(bell->fd, self->bytes, self->length);
        bell_used(bell, WRITE_SIDE, sent, (long)self->length);
        if (sent < 0 && sent != -EAGAIN)
            return READY(sent);
        if (sent > 0) {
            self->bytes += sent;
            self->length -= (size_t)sent;
        }
    }
    return READY(0);
}

static void write_all_drop(struct future *future)
{
    bell_forget(((struct tcp_write_all *)future)->stream->bell, WRITE_SIDE);
}

struct tcp_write_all tcp_write_all(struct tcp_stream *stream, const void *bytes,
                                   size_t length)
{
    static const struct future_kind kind = {write_all_poll, write_all_drop};
    return (struct tcp_write_all){{&kind}, stream, bytes, length};
}
