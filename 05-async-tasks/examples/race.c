/* race.c: twenty are asked, the first answer wins, the others are cancelled. Each message
 * is echoed when one of twenty tasks, each asleep for a random time, has woken up.
 *
 * The twenty handles are awaited at once by a combinator of our own. Each cancels its
 * task when it is dropped.
 */
#define _GNU_SOURCE
#include "begin.h"
#include "timer.h"

#define ASKED 20

/* ---- a combinator: ready with the index of the first handle that is ---------------- */

struct first {
    struct future future;
    struct join *handles;
};

/* All are polled with the same waker, so a wake of any of them means us. */
static long first_poll(struct future *future, struct waker *waker)
{
    struct first *self = (struct first *)future;

    for (long i = 0; i < ASKED; i++)
        if (future_poll(&self->handles[i].future, waker) != PENDING)
            return i;
    return PENDING;
}

static void first_drop(struct future *future)
{
    for (int i = 0; i < ASKED; i++)
        future_drop(&((struct first *)future)->handles[i].future);
}

static struct first first(struct join *handles)
{
    static const struct future_vtable vtable = {first_poll, first_drop};
    return (struct first){{&vtable}, handles};
}

/* ---- async fn serve: one connection after the other -------------------------------- */

struct serve {
    struct future future;
    struct async async;
    struct tcp_listener listener;
    struct address peer;
    struct tcp_stream stream;
    struct tcp_accept accept;
    struct tcp_read read;
    struct join handles[ASKED];
    struct first first;
    struct tcp_write_all write_all;
    char buffer[4096]; /* its own: the bytes must outlive the race */
    long length;
};

static void ask(struct join *handles)
{
    for (int i = 0; i < ASKED; i++) {
        struct sleep answer = sleep_for(50 + random() % 5000); /* a task, too */
        if (spawn_joinable(answer, &handles[i]) < 0)
            errx(EXIT_FAILURE, "no memory for a task");
        handles[i].cancels = true;
    }
}

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
            ask(self->handles);
            AWAIT(result, self->first, first(self->handles));
            log_line("number %ld was the first", result);
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
    long error = block_on(&serve.future);
    errx(EXIT_FAILURE, "accept: %s", strerror((int)-error));
}
