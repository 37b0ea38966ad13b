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

static int bell = -1; /* set once, before any handler or thread looks at it */

/* Closing time concerns everybody: rather than keep a list of those who wait, each thread
 * wakes all its tasks. To be woken for nothing does no harm, and it happens once. */
static _Thread_local struct {
    struct waker waker;
    bool rung;
} listener;

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)eventfd_write(bell, 1); /* cannot fail below 2^64 rings */
    errno = saved;
}

static void hang_bell(void)
{
    bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell == -1)
        return;
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
    int error = bell == -1 ? -EMFILE : reactor_add(bell, 0);
    if (error < 0)
        return error;
    listener.rung = false;
    listener.waker.wake = hear;
    (void)reactor_ready(bell, READING, &listener.waker); /* no: it has just been hung */
    return 0;
}

void ctrl_c_leave(void)
{
    reactor_forget(bell, READING);
    reactor_remove(bell);
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
    return (struct ctrl_c){.future.kind = &kind};
}
