/* 05-async-tasks/client_crowd.c: `./client --guests N --rounds R`, a task for each guest.
 *
 * The guest's evening reads like that of chapters 01 and 02, with an await where those
 * sleep; and like chapter 04 it needs neither threads nor stacks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "process.h"

/* What a guest's task finds out, and the handle by which we wait for him. */
struct guest {
    struct join join;
    long echoes;
    struct fault fault;
};

/* ---- async fn evening: one guest --------------------------------------------------- */

struct evening {
    struct future future;
    struct frame frame;
    const struct client_options *options;
    const struct server_place *place;
    struct guest *guest;
    long number, round;
    struct tcp_stream stream;
    char *message; /* this round's; owned */
    size_t offset;
    union {
        struct connect_any connect;
        struct exchange exchange;
        struct farewell farewell;
    };
};

static void begin_round(struct evening *self)
{
    free(self->message);
    self->message = crowd_message(self->options, self->number, self->round);
}

static struct poll evening_poll(struct future *future, struct waker *waker)
{
    long error = 0;

    ASYNC_BEGIN(evening);
    if (self->stream.bell == NULL) /* guest 1 is there already */
        AWAIT(error, self->connect,
              connect_any(self->place, &self->stream, &self->guest->fault));
    for (self->round = 1; error == 0 && self->round <= self->options->rounds;
         self->round++) {
        begin_round(self);
        AWAIT(error, self->exchange,
              exchange(&self->stream, self->message, self->offset, &self->guest->fault));
        self->offset += strlen(self->message);
        self->guest->echoes += error == 0;
    }
    if (error < 0)
        ASYNC_RETURN(error);
    AWAIT(error, self->farewell,
          farewell(&self->stream, self->offset, &self->guest->fault));
    ASYNC_END(error);
}

static void evening_drop(struct future *future)
{
    struct evening *self = (struct evening *)future;
    frame_drop(&self->frame);
    free(self->message);
    tcp_close(&self->stream);
}

static struct join spawn_evening(struct visit_crowd *crowd, long number)
{
    static const struct future_kind kind = {evening_poll, evening_drop};
    struct evening evening = {.future = {&kind}, .options = crowd->options,
                              .place = crowd->place, .guest = &crowd->guests[number - 1],
                              .number = number, .stream = crowd->first};
    crowd->first.bell = NULL; /* his from now on */
    return spawn(evening);
}

/* ---- async fn visit_crowd: connect one, spawn all, join all ------------------------ */

static struct poll visit_crowd_poll(struct future *future, struct waker *waker)
{
    struct guest *guest;
    long result;

    ASYNC_BEGIN(visit_crowd);
    report_start(&self->report, self->options->guests);
    AWAIT(result, self->connect, connect_any(self->place, &self->first, &self->fault));
    if (result < 0)
        fail("%s", self->fault.text);
    for (; self->spawned < self->options->guests; self->spawned++)
        self->guests[self->spawned].join = spawn_evening(self, self->spawned + 1);
    for (; self->joined < self->spawned; self->joined++) {
        AWAIT(result, self->join, self->guests[self->joined].join);
        guest = &self->guests[self->joined];
        if (result == -ENOMEM)
            fault_say(&guest->fault, "no memory for a task");
        report_guest(&self->report, self->joined + 1, guest->echoes,
                     result == 0 ? NULL : &guest->fault);
    }
    ASYNC_END(report_finish(&self->report));
}

/* After Ctrl-C some are not joined yet: the one we wait for, and those after him. */
static void visit_crowd_drop(struct future *future)
{
    struct visit_crowd *self = (struct visit_crowd *)future;

    if (self->joined < self->spawned)
        task_cancel(&self->join);
    frame_drop(&self->frame);
    tcp_close(&self->first);
    for (long i = self->joined + 1; i < self->spawned; i++) {
        task_cancel(&self->guests[i].join);
        future_drop(&self->guests[i].join.future);
    }
    free(self->guests);
}

struct visit_crowd visit_crowd(const struct client_options *options,
                               const struct server_place *place)
{
    static const struct future_kind kind = {visit_crowd_poll, visit_crowd_drop};
    struct visit_crowd crowd = {.future = {&kind}, .options = options, .place = place};

    crowd.guests = calloc((size_t)options->guests, sizeof *crowd.guests);
    if (crowd.guests == NULL)
        fail("no memory for %ld guests", options->guests);
    return crowd;
}
