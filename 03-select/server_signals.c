/* server_signals.c: Ctrl-C and SIGTERM. See server_signals.h.
 *
 * A signal may come at any moment: also between a look at the flag and the sleep, and
 * then the sleeper would not know. So both signals are blocked, except while pselect()
 * sleeps: it takes off the block and goes to sleep in one step that nothing can come
 * between.
 */
#define _GNU_SOURCE
#include "server_signals.h"

#include <sys/select.h>
#include <time.h>

static volatile sig_atomic_t closing;
static sigset_t outside_mask; /* what was blocked before we came: not our two */

/* A handler may do next to nothing (signal-safety(7)): set a flag, put back the
 * default. */
static void on_signal(int number)
{
    (void)number;
    closing = 1;
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

void signals_catch(void)
{
    sigset_t ours;
    (void)sigemptyset(&ours); /* none of these can fail for signals that exist */
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ours, &outside_mask);
    (void)sigdelset(&outside_mask, SIGINT);
    (void)sigdelset(&outside_mask, SIGTERM);
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
}

const sigset_t *signals_let_in(void)
{
    return &outside_mask;
}

void signals_peek(void)
{
    const struct timespec no_time = {0};
    (void)pselect(0, NULL, NULL, NULL, &no_time, &outside_mask); /* watches nothing */
}

bool signals_closing(void)
{
    return closing != 0;
}
