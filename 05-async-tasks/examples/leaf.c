/* leaf.c: a leaf of your own. A timerfd beats once a second, and each message is echoed
 * at the next beat: ask for a hundred with `./client --guests 1 --rounds 10`.
 *
 * A leaf is a future that waits for the kernel. This one reads a timerfd; an eventfd, a
 * pipe or a terminal looks the same. See reactor.h.
 */
#define _GNU_SOURCE
#include <sys/timerfd.h>
#include <unistd.h>

#include "begin.h"

/* ---- the leaf: ready with the number of beats since the last one ------------------- */

struct beat {
    struct future future;
    struct source *timer;
    struct waiter waiter;
};

static long beat_poll(struct future *future, struct waker *waker)
{
    struct beat *self = (struct beat *)future;
    uint64_t beats;

    while (source_ready(self->timer, READABLE, &self->waiter, waker)) {
        long result = read(self->timer->fd, &beats, sizeof beats);
        result = source_result(self->timer, READABLE, result, sizeof beats);
        if (result != -EAGAIN)
            return result < 0 ? result : (long)beats;
    }
    return PENDING;
}

static void beat_drop(struct future *future)
{
    waiter_leave(&((struct beat *)future)->waiter);
}

static struct beat beat(struct source *timer)
{
    static const struct future_vtable vtable = {beat_poll, beat_drop};
    return (struct beat){{&vtable}, timer, {0}};
}

static void timer_open(struct source *timer)
{
    struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd == -1 || timerfd_settime(fd, 0, &second, NULL) == -1)
        err(EXIT_FAILURE, "timerfd");
    *timer = (struct source){.fd = fd};
    int error = source_register(timer);
    if (error < 0)
        errx(EXIT_FAILURE, "epoll_ctl: %s", strerror(-error));
}

/* ---- async fn serve: one connection after the other -------------------------------- */

struct serve {
    struct future future;
    struct async async;
    struct tcp_listener listener;
    struct address peer;
    struct source timer;
    struct tcp_stream stream;
    struct tcp_accept accept;
    struct tcp_read read;
    struct beat beat;
    struct tcp_write_all write_all;
    char buffer[4096]; /* its own: the bytes must outlive the beat */
    long length;
};

static long serve_poll(struct future *future, struct waker *waker)
{
    struct serve *self = (struct serve *)future;
    long fd, result;

    ASYNC_BEGIN;
    for (;;) {
        AWAIT(fd, self->accept, tcp_accept(&self->listener, &self->peer));
        if (fd < 0)
            return fd;
        self->stream = tcp_stream_from((int)fd);
        result = tcp_stream_register(&self->stream);
        while (result >= 0) {
            AWAIT(self->length, self->read,
                  tcp_read(&self->stream, self->buffer, sizeof self->buffer));
            if (self->length <= 0)
                break;
            AWAIT(result, self->beat, beat(&self->timer));
            log_line("beat %ld", result);
            AWAIT(result, self->write_all,
                  tcp_write_all(&self->stream, self->buffer, (size_t)self->length));
        }
        tcp_stream_close(&self->stream);
    }
    ASYNC_END;
}

ASYNC_VTABLE(serve);

int main(int argc, char **argv)
{
    struct serve serve = {.future = {&serve_vtable}};

    begin(argc, argv, &serve.listener);
    timer_open(&serve.timer);
    long error = block_on(&serve.future);
    errx(EXIT_FAILURE, "accept: %s", strerror((int)-error));
}
