/* ctrl_c.c: Ctrl-C, and SIGTERM, as a future. See ctrl_c.h.
 *
 * A signal handler may do next to nothing (signal-safety(7)), but it may write to a
 * descriptor. So it rings a bell that every thread's reactor has registered: an eventfd.
 * It is never read, so it stays readable: whoever comes late hears it too.
 */
#define _GNU_SOURCE
#include "ctrl_c.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "reactor.h"
#include "task.h"

static int bell_fd; /* or -errno; set once, before any handler or thread looks at it */

/* Closing time concerns everybody: rather than keep a list of those who wait, each thread
 * wakes all its tasks. To be woken for nothing does no harm, and it happens once. */
static _Thread_local struct {
    struct waker waker;
    struct bell *bell;
    bool rung;
} listener;

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)eventfd_write(bell_fd, 1); /* cannot fail below 2^64 rings */
    errno = saved;
}

static void hang_bell(void)
{
    bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell_fd == -1) {
        bell_fd = -errno;
        return;
    }
    (void)signal(SIGINT, on_signal); /* fails for unknown signals only */
    (void)signal(SIGTERM, on_signal);
}

static void hear(struct waker *waker)
{
    (void)waker;
    listener.rung = true;
    tasks_wake_all();
}

int ctrl_c_listen(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, hang_bell);
    int error = bell_fd < 0 ? bell_fd : reactor_add(bell_fd, 0, &listener.bell);
    if (error < 0)
        return error;
    listener.rung = false;
    listener.waker.wake = hear;
    /* no: it has just been hung */
    (void)bell_ready(listener.bell, READ_SIDE, &listener.waker);
    return 0;
}

void ctrl_c_leave(void)
{
    bell_forget(listener.bell, READ_SIDE);
    reactor_remove(listener.bell);
}

static struct poll ctrl_c_poll(struct future *future, struct waker *waker)
{
    (void)future;
    (void)waker; /* hear() wakes everybody */
    return listener.rung ? READY(0) : PENDING;
}

struct ctrl_c ctrl_c(void)
{
    static const struct future_kind kind = {ctrl_c_poll, NULL};
    return (struct ctrl_c){.future = {&kind}};
}

static struct poll until_poll(struct future *future, struct waker *waker)
{
    struct future *work = ((struct until_ctrl_c *)future)->work;

    if (!listener.rung)
        return future_poll(work, waker);
    future_drop(work);
    return READY(-ECANCELED);
}

static void until_drop(struct future *future)
{
    future_drop(((struct until_ctrl_c *)future)->work);
}

struct until_ctrl_c until_ctrl_c(struct future *work)
{
    static const struct future_kind kind = {until_poll, until_drop};
    return (struct until_ctrl_c){.future = {&kind}, .work = work};
}
