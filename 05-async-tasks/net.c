/* net.c: TCP as futures. See net.h.
 *
 * Every leaf goes the same way: is the descriptor ready, as far as the reactor has heard? If
 * not, leave the waker there, PENDING. If so, and if the task may go on, make the system
 * call, and tell the reactor what it has used up. -EAGAIN brings us back to the start.
 */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "reactor.h"
#include "task.h"

/* The start of every leaf's poll. Returns whether to make the call now. */
static bool may_call(int fd, enum side side, bool *waiting, struct waker *waker)
{
    *waiting = !reactor_ready(fd, side, waker);
    return !*waiting && task_may_go_on(waker);
}

static void stop_waiting(int fd, enum side side, bool *waiting)
{
    if (*waiting)
        reactor_forget(fd, side);
    *waiting = false;
}

static void close_fd(int *fd)
{
    if (*fd == -1)
        return;
    reactor_remove(*fd);
    (void)close(*fd); /* all is sent; what close() could still report changes nothing */
    *fd = -1;
}

void tcp_close(struct tcp_stream *stream)
{
    close_fd(&stream->fd);
}

void tcp_shutdown(struct tcp_stream *stream)
{
    (void)shutdown(stream->fd, SHUT_WR); /* fails for one who is gone: the read will tell */
}

/* ---- listener -------------------------------------------------------------------------- */

int tcp_listener_from(struct tcp_listener *listener, int door)
{
    listener->fd = door;
    return reactor_add(door, EPOLLEXCLUSIVE);
}

void tcp_listener_close(struct tcp_listener *listener)
{
    close_fd(&listener->fd);
}

int tcp_try_accept(struct tcp_listener *listener, struct tcp_stream *stream,
                   struct address *who)
{
    int fd = socket_accept(listener->fd, SOCK_NONBLOCK, who);
    if (fd < 0) {
        reactor_used(listener->fd, READING, fd, 0);
        return fd;
    }
    int error = reactor_add(fd, 0);
    if (error < 0) {
        (void)close(fd); /* no memory for this one: he is turned away */
        return error;
    }
    stream->fd = fd;
    return 0;
}

static struct poll accept_poll(struct future *future, struct waker *waker)
{
    struct tcp_accept *self = (struct tcp_accept *)future;

    while (may_call(self->listener->fd, READING, &self->waiting, waker)) {
        int error = tcp_try_accept(self->listener, self->stream, self->who);
        if (error != -EAGAIN)
            return READY(error);
    }
    return PENDING;
}

static void accept_drop(struct future *future)
{
    struct tcp_accept *self = (struct tcp_accept *)future;
    stop_waiting(self->listener->fd, READING, &self->waiting);
}

struct tcp_accept tcp_accept(struct tcp_listener *listener, struct tcp_stream *stream,
                             struct address *who)
{
    static const struct future_kind kind = {accept_poll, accept_drop};
    return (struct tcp_accept){.future.kind = &kind, .listener = listener, .stream = stream,
                               .who = who};
}

/* ---- connect --------------------------------------------------------------------------- */

/* Returns 0 or -errno. */
static int start_connecting(struct tcp_connect *self)
{
    self->fd = socket_start_connect(self->server);
    if (self->fd < 0) {
        int error = self->fd;
        self->fd = -1;
        return error;
    }
    int error = reactor_add(self->fd, 0);
    if (error < 0) {
        (void)close(self->fd); /* nothing has been sent */
        self->fd = -1;
    }
    return error;
}

static struct poll connect_poll(struct future *future, struct waker *waker)
{
    struct tcp_connect *self = (struct tcp_connect *)future;
    int error = self->fd == -1 ? start_connecting(self) : 0;

    if (error < 0)
        return READY(error);
    if (!may_call(self->fd, WRITING, &self->waiting, waker))
        return PENDING;
    error = socket_connected(self->fd);
    if (error < 0)
        return READY(error); /* drop closes it */
    self->stream->fd = self->fd;
    self->fd = -1;
    return READY(0);
}

static void connect_drop(struct future *future)
{
    struct tcp_connect *self = (struct tcp_connect *)future;
    if (self->fd != -1)
        stop_waiting(self->fd, WRITING, &self->waiting);
    close_fd(&self->fd);
}

struct tcp_connect tcp_connect(const struct address *server, struct tcp_stream *stream)
{
    static const struct future_kind kind = {connect_poll, connect_drop};
    stream->fd = -1;
    return (struct tcp_connect){.future.kind = &kind, .server = server, .stream = stream,
                                .fd = -1};
}

/* ---- reading --------------------------------------------------------------------------- */

static struct poll readable_poll(struct future *future, struct waker *waker)
{
    struct tcp_readable *self = (struct tcp_readable *)future;
    return may_call(self->fd, READING, &self->waiting, waker) ? READY(0) : PENDING;
}

static void readable_drop(struct future *future)
{
    struct tcp_readable *self = (struct tcp_readable *)future;
    stop_waiting(self->fd, READING, &self->waiting);
}

struct tcp_readable tcp_readable(const struct tcp_stream *stream)
{
    static const struct future_kind kind = {readable_poll, readable_drop};
    return (struct tcp_readable){.future.kind = &kind, .fd = stream->fd};
}

long tcp_try_read(struct tcp_stream *stream, void *buffer, size_t size)
{
    long length = socket_read(stream->fd, buffer, size);
    reactor_used(stream->fd, READING, length, (long)size);
    return length;
}

static struct poll read_poll(struct future *future, struct waker *waker)
{
    struct tcp_read *self = (struct tcp_read *)future;

    while (may_call(self->stream->fd, READING, &self->waiting, waker)) {
        long length = tcp_try_read(self->stream, self->buffer, self->size);
        if (length != -EAGAIN)
            return READY(length);
    }
    return PENDING;
}

static void read_drop(struct future *future)
{
    struct tcp_read *self = (struct tcp_read *)future;
    stop_waiting(self->stream->fd, READING, &self->waiting);
}

struct tcp_read tcp_read(struct tcp_stream *stream, void *buffer, size_t size)
{
    static const struct future_kind kind = {read_poll, read_drop};
    return (struct tcp_read){.future.kind = &kind, .stream = stream, .buffer = buffer,
                             .size = size};
}

/* ---- writing --------------------------------------------------------------------------- */

static struct poll write_all_poll(struct future *future, struct waker *waker)
{
    struct tcp_write_all *self = (struct tcp_write_all *)future;
    int fd = self->stream->fd;

    while (self->length > 0) {
        if (!may_call(fd, WRITING, &self->waiting, waker))
            return PENDING;
        long sent = socket_write(fd, self->bytes, self->length);
        reactor_used(fd, WRITING, sent, (long)self->length);
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
    struct tcp_write_all *self = (struct tcp_write_all *)future;
    stop_waiting(self->stream->fd, WRITING, &self->waiting);
}

struct tcp_write_all tcp_write_all(struct tcp_stream *stream, const void *bytes,
                                   size_t length)
{
    static const struct future_kind kind = {write_all_poll, write_all_drop};
    return (struct tcp_write_all){.future.kind = &kind, .stream = stream, .bytes = bytes,
                                  .length = length};
}
