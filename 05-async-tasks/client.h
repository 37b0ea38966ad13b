/* client.h: the three ways to visit, as async functions. Each ends with the exit status,
 * or ends the process. `options` and `place` must live as long as the future. */
#ifndef CLIENT_H
#define CLIENT_H

#include "client_echo.h"
#include "task.h"

/* One guest says one message and waits for the whole echo. */
struct visit_once {
    struct future future;
    struct frame frame;
    const struct client_options *options;
    const struct server_place *place;
    struct tcp_stream stream;
    struct fault fault;
    union {
        struct connect_any connect;
        struct exchange exchange;
        struct farewell farewell;
    };
};
struct visit_once visit_once(const struct client_options *options,
                             const struct server_place *place);

/* `./client -`: stdin goes to the server, the echo goes to stdout: two tasks. */
struct visit_talk {
    struct future future;
    struct frame frame;
    const struct server_place *place;
    struct tcp_read read;
    struct timeout patience;
    struct join keyboard;
    struct connect_any connect;
};
struct visit_talk visit_talk(const struct server_place *place);

/* `./client --guests N --rounds R`: N tasks, R messages each. */
struct visit_crowd {
    struct future future;
    struct frame frame;
    const struct client_options *options;
    const struct server_place *place;
    struct report report;
    struct tcp_stream first; /* guest 1's: if he is not let in, nobody will be */
    struct fault fault;
    struct guest *guests;
    long spawned, joined; /* how many of them */
    union {
        struct connect_any connect;
        struct join join; /* of the guest we wait for: number `joined`, from 0 */
    };
};
struct visit_crowd visit_crowd(const struct client_options *options,
                               const struct server_place *place);

#endif
