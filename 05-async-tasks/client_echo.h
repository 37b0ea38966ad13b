/* client_echo.h: what the three ways to visit are made of, as async functions. */
#ifndef CLIENT_ECHO_H
#define CLIENT_ECHO_H

#include "client_check.h"
#include "net.h"
#include "timer.h"

/* Where the server may be: all the addresses of its name. */
struct server_place {
    struct address list[MAX_ADDRESSES];
    int count;
};
void find_server(const struct client_options *options, struct server_place *place);

/* async fn: connects to the first address that answers. 0 with the stream, or -1 with the
 * fault told. The three pointers must live as long as the future. */
struct connect_any {
    struct future future;
    struct frame frame;
    const struct server_place *place;
    struct tcp_stream *stream;
    struct fault *fault;
    int at;
    struct tcp_connect connect;
    struct timeout patience;
};
struct connect_any connect_any(const struct server_place *place,
                               struct tcp_stream *stream, struct fault *fault);

#define PIECE 4096

/* async fn: sends the message and takes back its echo, in turns: a piece out, the same
 * piece back in. `offset` is the number of bytes that went before. 0, or -1 with the
 * fault told. */
struct exchange {
    struct future future;
    struct frame frame;
    struct tcp_stream *stream;
    const char *message;
    size_t length, offset; /* of the message; before it */
    size_t sent, echoed;   /* of it */
    struct fault *fault;
    struct tcp_write_all write_all;
    struct tcp_read read;
    struct timeout patience;
    char echo[PIECE];
};
struct exchange exchange(struct tcp_stream *stream, const char *message, size_t offset,
                         struct fault *fault);

/* async fn: says goodbye and waits for the server's: nothing more may come after `offset`
 * bytes. 0, or -1 with the fault told. */
struct farewell {
    struct future future;
    struct frame frame;
    struct tcp_stream *stream;
    size_t offset;
    struct fault *fault;
    struct tcp_read read;
    struct timeout patience;
    char extra;
};
struct farewell farewell(struct tcp_stream *stream, size_t offset, struct fault *fault);

#endif
