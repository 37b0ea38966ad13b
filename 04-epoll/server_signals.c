/* server_signals.c: Ctrl-C and SIGTERM. See server_signals.h.
 *
 * Chapter 03 let the signals in while it slept. With signalfd(2) they are not let in at
 * all: they stay blocked, and queue up at a descriptor that epoll watches like any other.
 */
#define _GNU_SOURCE
#include "server_signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "process.h"

static sigset_t our_two(void)
{
    sigset_t ours;
    (void)sigemptyset(&ours); /* none of these can fail for signals that exist */
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGTERM);
    return ours;
}

int signals_open(void)
{
    sigset_t ours = our_two();
    (void)sigprocmask(SIG_BLOCK, &ours, NULL);
    int signals = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals == -1)
        fail("signalfd: %s", strerror(errno));
    return signals;
}

int signals_take(int signals)
{
    sigset_t ours = our_two();
    struct signalfd_siginfo taken;

    while (read(signals, &taken, sizeof taken) == -1 && errno == EINTR)
        continue; /* one that stayed untaken would end us at the next line */
    (void)sigprocmask(SIG_UNBLOCK, &ours, NULL);
    (void)close(signals);
    return -1;
}
