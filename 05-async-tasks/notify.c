/* notify.c: one task rings for another. See notify.h. */
#include "notify.h"

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
    struct notify *notify = ((struct notified *)future)->notify;

    if (notify->rung) {
        notify->rung = false;
        notify->waiter = NULL;
        return READY(0);
    }
    assert(notify->waiter == NULL || notify->waiter == waker);
    notify->waiter = waker;
    return PENDING;
}

static void notified_drop(struct future *future)
{
    ((struct notified *)future)->notify->waiter = NULL;
}

struct notified notified(struct notify *notify)
{
    static const struct future_kind kind = {notified_poll, notified_drop};
    return (struct notified){.future = {&kind}, .notify = notify};
}
