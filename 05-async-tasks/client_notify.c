/* client_notify.c: one task rings for another. See client_notify.h. */
#include "client_notify.h"

void notify_ring(struct notify *notify)
{
    struct waker *waiter = notify->waiter;
    notify->rung = true;
    notify->waiter = NULL;
    if (waiter != NULL)
        waiter->wake(waiter);
}

static struct poll notified_poll(struct future *future, struct waker *waker)
{
    struct notified *self = (struct notified *)future;
    struct notify *notify = self->notify;

    if (notify->rung) {
        notify->rung = false;
        notify->waiter = NULL;
        return READY(0);
    }
    assert(notify->waiter == NULL || notify->waiter == waker);
    notify->waiter = self->waker = waker;
    return PENDING;
}

/* One that has not been polled has left nothing, and must not touch what another has. */
static void notified_drop(struct future *future)
{
    struct notified *self = (struct notified *)future;
    if (self->notify->waiter == self->waker)
        self->notify->waiter = NULL;
}

struct notified notified(struct notify *notify)
{
    static const struct future_kind kind = {notified_poll, notified_drop};
    return (struct notified){.future = {&kind}, .notify = notify};
}
