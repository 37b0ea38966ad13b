/* sockets.h: the sockets API in the few verbs that every chapter needs.
 *
 * A call that can fail returns -errno, never -1: errno does not survive the next call,
 * a return value does. The same file stands in every chapter; chapter 01 explains it.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Seconds without any progress after which a client gives up. */
#define PATIENCE 10

/* Where somebody sits: an IPv4 or IPv6 address with its port. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* An address as text, "127.0.0.1:8080" or "[::1]:8080". Made to be used at once:
 * log_line("%s", address_name(&guest).text). */
struct address_text {
    char text[64];
};
struct address_text address_name(const struct address *address);

/* All the addresses of a name, the best first, at most MAX_ADDRESSES. Waits for the name
 * service. Returns how many, at least one; ends the process when the name is unknown. */
#define MAX_ADDRESSES 8
int socket_resolve(const char *host, long port, struct address list[MAX_ADDRESSES]);

/* Opens the door: a listening socket on the first address of `host` that can be had. Port
 * 0 lets the kernel choose; *here is where we really listen. flags: 0 or SOCK_NONBLOCK.
 * Ends the process when there is none: this happens at start only.
 * (Tokio: TcpListener::bind.) */
int socket_listen(const char *host, long port, int flags, struct address *here);

/* Takes in the next guest at the door; *guest is his address. flags as above. Guests who
 * left while waiting are passed over. Returns the new socket, or -errno:
 *   -EAGAIN        nobody is waiting (non-blocking doors only)
 *   anything else  a shortage of ours (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM ...): the
 *                  guest still stands at the door, so rest a while and come back; it is
 *                  never a reason to end. */
int socket_accept(int door, int flags, struct address *guest);

/* One recv or one send, repeated when a signal interrupts it. Returns the number of
 * bytes, which may be fewer than asked for, or -errno (-EAGAIN: not now). For reads 0 is
 * the guest's goodbye. */
ssize_t socket_read(int socket, void *buffer, size_t size);
ssize_t socket_write(int socket, const void *bytes, size_t length);

/* Connects to one address. Returns a blocking socket on which no call waits for more than
 * PATIENCE seconds (then it answers -EAGAIN), or -errno. */
int socket_connect_to(const struct address *server);

/* Connects to the first address of `host` that answers; *server is that address. The
 * socket is of the same kind. Ends the process when none answers. (Tokio:
 * TcpStream::connect.) */
int socket_connect(const char *host, long port, struct address *server);

/* Starts to connect, without waiting. Returns a non-blocking socket or -errno. When it
 * becomes writable, socket_connected() tells how it went: 0 or -errno. */
int socket_start_connect(const struct address *server);
int socket_connected(int socket);

/* Makes a blocking socket one whose calls answer -EAGAIN where they would wait, or the
 * other way round. Returns 0 or -errno. */
int socket_set_blocking(int socket, bool blocking);

#endif
