/* 05-async-tasks/client.c: a guest. One message here, as the Tokio tutorial's client says
 * it: connect, write all, read, await after await. client_talk.c and client_crowd.c hold
 * the other two ways to visit.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include "ctrl_c.h"
#include "process.h"
#include "runtime.h"

#define INTERRUPTED 130 /* the exit status of a shell command that Ctrl-C has ended */

/* ---- async fn visit_once ----------------------------------------------------------- */

static struct poll visit_once_poll(struct future *future, struct waker *waker)
{
    const char *message;
    long error;

    ASYNC_BEGIN(visit_once);
    AWAIT(error, self->connect, connect_any(self->place, &self->stream, &self->fault));
    if (error < 0)
        fail("%s", self->fault.text);
    message = self->options->message;
    print("Successfully connected to server\n");
    print("Sending message: '%s'\n", message);
    AWAIT(error, self->exchange, exchange(&self->stream, message, 0, &self->fault));
    if (error < 0)
        fail("%s", self->fault.text);
    message = self->options->message; /* a local does not survive an await */
    print("Received echo from server: '%s'\n", message); /* they are equal */
    AWAIT(error, self->farewell, farewell(&self->stream, strlen(message), &self->fault));
    if (error < 0)
        fail("%s", self->fault.text);
    ASYNC_END(EXIT_SUCCESS);
}

static void visit_once_drop(struct future *future)
{
    struct visit_once *self = (struct visit_once *)future;
    frame_drop(&self->frame);
    tcp_close(&self->stream);
}

struct visit_once visit_once(const struct client_options *options,
                             const struct server_place *place)
{
    static const struct future_kind kind = {visit_once_poll, visit_once_drop};
    return (struct visit_once){.future = {&kind}, .options = options, .place = place};
}

/* ---- async fn client: one of the three, or Ctrl-C ---------------------------------- */

struct client {
    struct future future;
    struct frame frame;
    const struct client_options *options;
    const struct server_place *place;
    union {
        struct visit_once once;
        struct visit_talk talk;
        struct visit_crowd crowd;
    };
    struct ctrl_c interrupted;
    struct race first;
};

static struct future *choose_visit(struct client *self)
{
    if (self->options->guests > 0) {
        self->crowd = visit_crowd(self->options, self->place);
        return &self->crowd.future;
    }
    if (strcmp(self->options->message, "-") == 0) {
        self->talk = visit_talk(self->place);
        return &self->talk.future;
    }
    self->once = visit_once(self->options, self->place);
    return &self->once.future;
}

static struct poll client_poll(struct future *future, struct waker *waker)
{
    long which;

    ASYNC_BEGIN(client);
    self->interrupted = ctrl_c();
    AWAIT(which, self->first, race(choose_visit(self), &self->interrupted.future));
    ASYNC_END(which == 0 ? self->first.value : INTERRUPTED);
}

static void client_drop(struct future *future)
{
    frame_drop(&((struct client *)future)->frame);
}

int main(int argc, char **argv)
{
    static const struct future_kind kind = {client_poll, client_drop};

    process_start("client");
    struct client_options options = client_options(argc, argv);
    struct server_place place;
    find_server(&options, &place); /* this blocks: now, while nobody waits for us */
    struct client client = {.future = {&kind}, .options = &options, .place = &place};
    long status = block_on(client);
    if (status < 0)
        fail("runtime: %s", strerror((int)-status));
    return (int)status;
}
