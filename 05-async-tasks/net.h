/* net.h: TCP as futures: the door, and a table.
 *
 * Listeners and streams are plain values around a bell; copy them as you like, close each
 * once, and only when no future on it is left. One future at a time may read a stream,
 * one may write it. The number a future here ends with is what the system call returns,
 * or -errno.
 */
#ifndef NET_H
#define NET_H

#include "future.h"
#include "reactor.h"
#include "sockets.h"

struct tcp_listener {
    struct bell *bell; /* NULL: closed */
};

/* Takes over a door that socket_listen() has opened, without blocking; on failure it
 * stays yours. Several threads may each take over a copy of the same one: a newcomer then
 * wakes at least one of them. Returns 0 or -errno. (Tokio: TcpListener::from_std.) */
int tcp_listener_from(struct tcp_listener *listener, int door);

/* Closes the door; closed already, or all zeros, is fine. (Tokio: drop.) */
void tcp_listener_close(struct tcp_listener *listener);

struct tcp_stream {
    struct bell *bell; /* NULL: closed */
};

/* Closes the connection; closed already, or all zeros, is fine. (Tokio: drop.) */
void tcp_close(struct tcp_stream *stream);

/* Says our goodbye: nothing more will be sent. (Tokio: AsyncWriteExt::shutdown.) */
void tcp_shutdown(struct tcp_stream *stream);

/* Takes in the next guest: 0, with the stream and his address, or -errno. An error is a
 * shortage, never the end: sleep a while, and accept again. The stream is yours to close.
 * (Tokio: TcpListener::accept.) */
struct tcp_accept {
    struct future future;
    struct tcp_listener *listener;
    struct tcp_stream *stream;
    struct address *who;
};
struct tcp_accept tcp_accept(struct tcp_listener *listener, struct tcp_stream *stream,
                             struct address *who);

/* Takes in who stands at the door now, without waiting: 0 or -errno; -EAGAIN: nobody. */
int tcp_try_accept(struct tcp_listener *listener, struct tcp_stream *stream,
                   struct address *who);

/* Connects to one address: 0, with the stream, or -errno. (Tokio: TcpStream::connect.) */
struct tcp_connect {
    struct future future;
    const struct address *server;
    struct tcp_stream *stream; /* closed until the end */
    struct bell *bell;         /* NULL: not begun, or handed over */
};
struct tcp_connect tcp_connect(const struct address *server, struct tcp_stream *stream);

/* Ready when a read will not wait: bytes are there, or the guest's goodbye, or an error.
 * Its number is 0. (Tokio: TcpStream::readable.) */
struct tcp_readable {
    struct future future;
    struct bell *bell;
};
struct tcp_readable tcp_readable(const struct tcp_stream *stream);

/* A read without waiting: how many bytes, 0 for the goodbye, or -errno; -EAGAIN: nothing
 * is there. (Tokio: TcpStream::try_read.) */
long tcp_try_read(struct tcp_stream *stream, void *buffer, size_t size);

/* One read into a buffer that must live as long as the future. Dropped before its end it
 * has taken nothing. (Tokio: AsyncReadExt::read.) */
struct tcp_read {
    struct future future;
    struct tcp_stream *stream;
    void *buffer;
    size_t size;
};
struct tcp_read tcp_read(struct tcp_stream *stream, void *buffer, size_t size);

/* Writes all of it: its number is 0, or -errno. The bytes must live as long as the
 * future. Dropped before its end, a part has gone out, and nobody knows how much: then
 * close.
 * (Tokio: AsyncWriteExt::write_all.) */
struct tcp_write_all {
    struct future future;
    struct tcp_stream *stream;
    const unsigned char *bytes;
    size_t length;
};
struct tcp_write_all tcp_write_all(struct tcp_stream *stream, const void *bytes,
                                   size_t length);

#endif
