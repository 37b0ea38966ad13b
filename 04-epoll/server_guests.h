/* server_guests.h: the tables, and what happens at each: order, plate, goodbye. */
#ifndef SERVER_GUESTS_H
#define SERVER_GUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "sockets.h"

/* Seats a guest on his descriptor, which is ours from now on, and puts a bell on his
 * table: `bells` is the epoll descriptor. Who cannot be seated is turned away: his
 * descriptor is closed again, with a line on stderr. */
void guest_arrive(int bells, int fd, const struct address *who);

/* How many guests are here. */
int guests_count(void);

/* His bell has rung: epoll has `events` to tell of descriptor fd. He has a turn at once,
 * unless he waits for one already. */
void guest_ring(int fd, uint32_t events);

/* A turn for each guest who waits for one. Returns whether some are waiting for another
 * one already: then nobody may sleep. */
bool guests_serve(void);

/* Says goodbye to all who have sent nothing since the last call, and have had everything.
 * They leave when they have said goodbye themselves. */
void guests_say_goodbye(void);

/* Whether guests come and go without a line on stdout. */
extern bool guests_quiet;

#endif
