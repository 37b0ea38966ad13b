/* client_visit.h: one guest's evening as a state machine: connecting, talking, leaving.
 *
 * visit_go_on() does all that can be done without waiting and says what it waits for; who
 * waits, and how, is the caller's business. So the same file serves select and epoll.
 */
#ifndef CLIENT_VISIT_H
#define CLIENT_VISIT_H

#include <stdbool.h>
#include <stddef.h>

#include "client_check.h"
#include "sockets.h"

enum visit_state { VISIT_CONNECTING, VISIT_TALKING, VISIT_LEAVING, VISIT_OVER };

/* What a visit waits for; VISIT_NOTHING: it is over. */
enum visit_wait { VISIT_NOTHING = 0, VISIT_READ = 1, VISIT_WRITE = 2 };

struct visit {
    const struct client_options *options;
    int socket;
    enum visit_state state;
    long guest, round;           /* who, and which message is under way; both from 1 */
    long echoes;                 /* messages that came back right */
    char *message;               /* this round's; owned */
    size_t length, sent, echoed; /* of it */
    size_t before;               /* bytes of the rounds before: for offsets */
    bool failed;
    struct fault fault;
};

/* Starts the visit of `guest`; begins to connect when socket is -1, else it is connected
 * and non-blocking already. A visit that cannot start is over at once, and has failed. */
void visit_start(struct visit *visit, const struct client_options *options,
                 const struct address *server, long guest, int socket);

/* Goes on as far as it can. Call it when what was waited for has come; for a visit that
 * connects, only then. Returns a set of enum visit_wait. */
unsigned visit_go_on(struct visit *visit);

/* The server has had its PATIENCE: the visit is over, and has failed. */
void visit_give_up(struct visit *visit);

#endif
