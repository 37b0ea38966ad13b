/* delay.c: every echo comes 200 ms late, and three connections are served at a time. The
 * fourth waits in the backlog. Try `./client --guests 6`: it takes 0.4 s.
 */
#include "begin.h"
#include "sync.h"
#include "timer.h"

static struct semaphore limit = {.permits = 3};

/* ---- async fn serve ---------------------------------------------------------------- */

struct serve {
    struct future future;
    struct async async;
    struct tcp_stream stream;
    struct tcp_read read;
    struct sleep sleep;
    struct tcp_write_all write_all;
    long length;
    char buffer[4096]; /* its own: the bytes must outlive the sleep */
};

static long serve_poll(struct future *future, struct waker *waker)
{
    struct serve *self = (struct serve *)future;
    long error;

    ASYNC_BEGIN;
    error = tcp_stream_register(&self->stream);
    if (error < 0)
        return error;
    for (;;) {
        AWAIT(self->length, self->read,
              tcp_read(&self->stream, self->buffer, sizeof self->buffer));
        if (self->length <= 0)
            return self->length;
        AWAIT(error, self->sleep, sleep_for(200));
        if (error < 0)
            return error;
        AWAIT(error, self->write_all,
              tcp_write_all(&self->stream, self->buffer, (size_t)self->length));
        if (error < 0)
            return error;
    }
    ASYNC_END;
}

/* Every way out of serve_poll ends here. */
static void serve_drop(struct future *future)
{
    struct serve *self = (struct serve *)future;

    async_drop(&self->async);
    tcp_stream_close(&self->stream);
    semaphore_release(&limit);
}

/* ---- async fn accepting ------------------------------------------------------------ */

struct accepting {
    struct future future;
    struct async async;
    struct tcp_listener listener;
    struct address peer;
    struct semaphore_acquire acquire;
    struct tcp_accept accept;
    struct sleep sleep;
};

static long accepting_poll(struct future *future, struct waker *waker)
{
    static const struct future_vtable serve_vtable = {serve_poll, serve_drop};
    struct accepting *self = (struct accepting *)future;
    long fd, done;

    ASYNC_BEGIN;
    for (;;) {
        AWAIT(done, self->acquire, semaphore_acquire(&limit));
        AWAIT(fd, self->accept, tcp_accept(&self->listener, &self->peer));
        if (fd < 0) { /* out of descriptors, say: try again */
            semaphore_release(&limit);
            AWAIT(done, self->sleep, sleep_for(100));
            continue;
        }
        struct serve serve = {.future = {&serve_vtable},
                              .stream = tcp_stream_from((int)fd)};
        log_line("a connection, %ld more may come", limit.permits);
        if (spawn(serve) < 0)
            log_error("no memory for a connection");
    }
    ASYNC_END;
    return done;
}

ASYNC_VTABLE(accepting);

int main(int argc, char **argv)
{
    struct accepting accepting = {.future = {&accepting_vtable}};

    begin(argc, argv, &accepting.listener);
    return (int)block_on(&accepting.future);
}
