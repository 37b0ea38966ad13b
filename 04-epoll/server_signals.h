/* server_signals.h: Ctrl-C and SIGTERM as a descriptor, for a server that sleeps in
 * epoll. */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

/* Call once, at the start. Returns a descriptor that becomes readable when one of the two
 * signals has come. Ends the process when there is none. */
int signals_open(void);

/* Takes the signal that has come, and closes the descriptor; from then on a signal ends
 * the process, as it always did. Returns -1, for the variable that held the
 * descriptor. */
int signals_take(int signals);

#endif
