/* chat.c: everybody hears everybody. A member who reads too slowly is dropped, not waited
 * for. Try `./client` while it is alone; with company, `nc 127.0.0.1 8080`, because
 * ./client counts what it hears.
 */
#include "begin.h"
#include "sync.h"
#include "timer.h"

/* ---- async fn member: one connection ----------------------------------------------- */

struct member {
    struct future future;
    struct async async;
    struct tcp_stream stream;
    struct notify news;
    struct notified notified;
    struct tcp_read read;
    struct tcp_write_all write_all;
    struct member *next; /* in the list of all */
    char input[4096], unsent[64 * 1024];
    size_t length; /* of unsent: what was said while we wrote or slept */
};

static struct member *all;

/* There is no AWAIT in here, so nothing changes meanwhile. */
static void say(const char *text, size_t length)
{
    for (struct member *member = all; member != NULL; member = member->next) {
        if (member->length + length > sizeof member->unsent) {
            log_line("a slow reader is dropped");
            (void)shutdown(member->stream.source.fd, SHUT_RDWR); /* ends its await */
            continue;
        }
        memcpy(member->unsent + member->length, text, length);
        member->length += length;
        notify_all(&member->news);
    }
}

static long member_poll(struct future *future, struct waker *waker)
{
    struct member *self = (struct member *)future;
    long result;

    ASYNC_BEGIN;
    result = tcp_stream_register(&self->stream);
    self->next = all;
    all = self;
    while (result >= 0) {
        self->read = tcp_read(&self->stream, self->input, sizeof self->input);
        self->notified = notified(&self->news);
        AWAIT_UNTIL(result, &self->read.future, &self->notified.future);
        future_drop(&self->notified.future); /* if it still waits */
        if (result > 0)
            say(self->input, (size_t)result);
        else if (result != INTERRUPTED)
            return result;
        self->write_all = tcp_write_all(&self->stream, self->unsent, self->length);
        self->length = 0;
        AWAIT_AT(result, &self->write_all.future); /* it copies what has to wait */
    }
    ASYNC_END;
    return result;
}

static void member_drop(struct future *future)
{
    struct member *self = (struct member *)future, **at = &all;

    while (*at != NULL && *at != self)
        at = &(*at)->next;
    if (*at != NULL)
        *at = self->next;
    async_drop(&self->async);
    future_drop(&self->notified.future);
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
    static const struct future_vtable member_vtable = {member_poll, member_drop};
    struct accepting *self = (struct accepting *)future;
    long fd, done;

    ASYNC_BEGIN;
    for (;;) {
        AWAIT(fd, self->accept, tcp_accept(&self->listener, &self->peer));
        if (fd < 0) { /* out of descriptors, say: try again */
            AWAIT(done, self->sleep, sleep_for(100));
            continue;
        }
        struct member member = {{&member_vtable}, .stream = tcp_stream_from((int)fd)};
        if (spawn(member) < 0)
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
