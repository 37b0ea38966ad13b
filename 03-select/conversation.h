/* conversation.h: what a client says to the server, and what comes back.
 *
 * Nothing here waits, or knows about select() and epoll. A conversation waits for two
 * descriptors, the server and stdin; when one of them is ready, call the function for it.
 * 03-select and 04-epoll use the same file.
 */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>

#include "check.h"

struct conversation {
    int server;               /* the socket; it always wants to read */
    const char *message;      /* all that we say; NULL: what stdin says */
    const char *unsent;       /* what the socket has not taken yet: */
    size_t unsent_length;     /* until it has, we read no more of stdin */
    long long sent, received; /* bytes so far; the server owes us the difference */
    bool ended, finished;     /* our side is shut down; the server's is, too */
    int write_error;          /* why we ended; 0: because all was said */
    struct patience patience;
};

/* Starts with a connected, non-blocking socket. `message` is "-" for a conversation. */
void conversation_start(struct conversation *self, int server, const char *message);

/* Whether it wants to read stdin, and to write to the server. */
bool conversation_wants_stdin(const struct conversation *self);
bool conversation_wants_write(const struct conversation *self);

/* Call before each wait. Returns how long it may last, in milliseconds, or -1 for any
 * time. Exits if the server has been silent for too long. */
int conversation_timeout(struct conversation *self);

/* Call when stdin can be read, when the server can be written to, when it can be read. */
void conversation_read_stdin(struct conversation *self);
void conversation_write(struct conversation *self);
void conversation_read(struct conversation *self);

#endif
