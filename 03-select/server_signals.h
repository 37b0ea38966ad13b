/* server_signals.h: Ctrl-C and SIGTERM for a server that sleeps in pselect(). */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <stdbool.h>
#include <signal.h>

/* Call once, at the start. From then on the two signals wait outside: they are let in
 * only by a pselect() that is given signals_let_in(). */
void signals_catch(void);
const sigset_t *signals_let_in(void);

/* Lets in a signal that waits, without sleeping. pselect() does not do so when it finds
 * work at once: guests who never stop calling would keep Ctrl-C out for ever. */
void signals_peek(void);

/* Whether the first signal has come. A second one ends the process, as it always did. */
bool signals_closing(void);

#endif
