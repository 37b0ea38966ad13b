/* server_guest.h: the waiter's work at one table. */
#ifndef SERVER_GUEST_H
#define SERVER_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "net.h"

/* Gives the guest a task of his own; the stream is the task's from now on. Without memory
 * he is turned away, with a line on stderr. */
void seat_guest(struct tcp_stream stream, const struct address *who);

/* Set once, before the first guest. */
extern bool guest_quiet;      /* guests come and go without a line on stdout */
extern int64_t guest_idle_ms; /* how long we wait for an order; FOREVER */

#endif
