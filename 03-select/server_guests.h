/* server_guests.h: the tables, and what happens at each: order, plate, goodbye. */
#ifndef SERVER_GUESTS_H
#define SERVER_GUESTS_H

#include <stdbool.h>
#include <sys/select.h>

#include "sockets.h"

/* Seats a guest on his descriptor, which is ours from now on. One that select() cannot
 * watch is closed again, with a line on stderr. */
void guest_arrive(int fd, const struct address *who);

/* How many guests are here. */
int guests_count(void);

/* Adds every guest to one of the sets: to readers when he has an empty plate, to writers
 * when he has not. Returns the highest descriptor among them, -1 for none. */
int guests_watch(fd_set *readers, fd_set *writers);

/* One round of the tables: a plate, at the most, for each guest in the sets. */
void guests_serve(const fd_set *readers, const fd_set *writers);

/* Says goodbye to all who have sent nothing since the last call, and have had everything.
 * They leave when they have said goodbye themselves. */
void guests_say_goodbye(void);

/* Whether guests come and go without a line on stdout. */
extern bool guests_quiet;

#endif
