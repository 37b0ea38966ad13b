/* client.h: the two modes of the client that differ from chapter to chapter. */
#ifndef CLIENT_H
#define CLIENT_H

#include "options.h"

/* `./client -`: stdin goes to the server, the echo goes to stdout. Two things to listen
 * to at once, the keyboard and the socket. Returns the exit status, or ends the
 * process. */
int client_talk(const struct client_options *options);

/* `./client --guests N --rounds R`: N guests, R messages each. Returns the exit
 * status. */
int client_crowd(const struct client_options *options);

#endif
