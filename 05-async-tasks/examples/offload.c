/* offload.c: a computation for each message, on a thread of its own. Meanwhile the others
 * are served: `./client '!' & ./client Hi` answers Hi at once.
 */
#include "offload.h"
#include "begin.h"
#include "timer.h"

/* On a helper thread, which may not touch the runtime: it counts what it is given. */
static long grains(void *count)
{
    volatile long i = 0;

    while (i < *(long *)count)
        i++;
    return i;
}

/* ---- async fn serve: what begins with '!' takes a second or two -------------------- */

struct serve {
    struct future future;
    struct async async;
    struct tcp_stream stream;
    struct tcp_read read;
    struct offload offload;
    struct tcp_write_all write_all;
    long length;
    char buffer[4096]; /* its own: the bytes must outlive the computation */
};

static long serve_poll(struct future *future, struct waker *waker)
{
    static long many = 1000 * 1000 * 1000; /* static: the helper may outlive the task */
    struct serve *self = (struct serve *)future;
    long result;

    ASYNC_BEGIN;
    result = tcp_stream_register(&self->stream);
    while (result >= 0) {
        AWAIT(self->length, self->read,
              tcp_read(&self->stream, self->buffer, sizeof self->buffer));
        if (self->length <= 0)
            return self->length;
        if (self->buffer[0] == '!') {
            log_line("counting ...");
            AWAIT(result, self->offload, offload(grains, &many));
            log_line("%ld grains", result);
        }
        AWAIT(result, self->write_all,
              tcp_write_all(&self->stream, self->buffer, (size_t)self->length));
    }
    ASYNC_END;
    return result;
}

static void serve_drop(struct future *future)
{
    struct serve *self = (struct serve *)future;
    async_drop(&self->async);
    tcp_stream_close(&self->stream);
}

/* ---- async fn accepting ------------------------------------------------------------ */

struct accepting {
    struct future future;
    struct async async;
    struct tcp_listener listener;
    struct address peer;
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
        AWAIT(fd, self->accept, tcp_accept(&self->listener, &self->peer));
        if (fd < 0) { /* out of descriptors, say: try again */
            AWAIT(done, self->sleep, sleep_for(100));
            continue;
        }
        struct serve serve = {.future = {&serve_vtable},
                              .stream = tcp_stream_from((int)fd)};
        if (spawn(serve) < 0)
            log_error("no memory for a connection");
    }
    ASYNC_END;
}

ASYNC_VTABLE(accepting);

int main(int argc, char **argv)
{
    struct accepting accepting = {.future = {&accepting_vtable}};

    begin(argc, argv, &accepting.listener);
    return (int)block_on(&accepting.future);
}
