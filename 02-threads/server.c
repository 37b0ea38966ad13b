/* 02-threads/server.c: a thread for each connection.
 *
 * Every call blocks, but only its own thread: while one sleeps in recv() for its client,
 * the main thread accepts the next. The kernel switches between them.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "clock.h"
#include "log.h"
#include "options.h"

#define BUFFER_SIZE (64 * 1024)
#define ACCEPT_BACKOFF_MS 100

/* send() may take fewer bytes than it is given; it returns how many it took. Returns
 * false after an error, with the reason in errno. */
static bool send_all(int fd, const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent == -1 && errno == EINTR)
            continue;
        if (sent == -1)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Echoes until the peer ends its side. An error ends this connection, not the server. */
static void serve_connection(int fd)
{
    unsigned char buffer[BUFFER_SIZE]; /* on the stack: each thread has its own */
    ssize_t length;

    while ((length = recv(fd, buffer, sizeof buffer, 0)) != 0) {
        if (length == -1 && errno == EINTR)
            continue;
        if (length == -1) {
            log_error("Failed to read from socket; err = %s", strerror(errno));
            return;
        }
        if (!send_all(fd, buffer, (size_t)length)) {
            log_error("Failed to write to socket; err = %s", strerror(errno));
            return;
        }
    }
}

struct connection {
    int fd;
    struct address peer;
};

/* The life of a thread: one connection, from beginning to end. */
static void *connection_thread(void *argument)
{
    struct connection *conn = argument;

    log_line("New connection from: %s", address_name(&conn->peer).text);
    serve_connection(conn->fd);
    (void)close(conn->fd); /* all is sent, or lost already: no error can change that */
    log_line("Connection closed by %s", address_name(&conn->peer).text);
    free(conn);
    return NULL;
}

/* Starts a thread for this connection; without one, turns the client away.
 *
 * The thread gets a stack of the usual size, 8 MiB (ulimit -s). Those are addresses, not
 * memory: a page of it becomes memory when it is first touched. */
static void start_thread(int fd, const struct address *peer)
{
    struct connection *conn = malloc(sizeof *conn); /* the thread frees it */
    pthread_t thread;
    int error = ENOMEM;

    if (conn != NULL) {
        *conn = (struct connection){fd, *peer};
        error = pthread_create(&thread, NULL, connection_thread, conn);
    }
    if (error == 0) {
        (void)pthread_detach(thread); /* nobody joins it: its stack is freed at its end */
        return;
    }
    log_error("Failed to serve %s; err = %s", address_name(peer).text, strerror(error));
    (void)close(fd);
    free(conn);
}

/* Listens on the first address of `host` that works (a name may have several, IPv6 and
 * IPv4); *here is that address. `flags` is 0; from chapter 3 on, SOCK_NONBLOCK. Accepted
 * sockets inherit TCP_NODELAY and SO_OOBINLINE from the listener. */
static int open_listener(const char *host, long port, int flags, struct address *here)
{
    struct addrinfo *list = address_list(host, port), *at;
    socklen_t size = sizeof *here;
    const char *step = "socket";
    int fd = -1, error = 0, yes = 1;

    for (at = list; at != NULL; at = at->ai_next) {
        memcpy(here, at->ai_addr, at->ai_addrlen);
        step = "socket";
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
        error = errno;
        if (fd == -1)
            continue;
        /* Restart at once, though the kernel still remembers old connections. */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        /* No Nagle: it holds back the end of an echo until the rest is acknowledged. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        /* Keep a byte sent with MSG_OOB in the stream, to be echoed like the rest. */
        (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes);
        step = "bind";
        if (bind(fd, at->ai_addr, at->ai_addrlen) == 0) {
            step = "listen";
            if (listen(fd, SOMAXCONN) == 0)
                break;
        }
        error = errno;
        (void)close(fd);
    }
    if (at == NULL) { /* none works: say why the last one does not */
        warnx("%s %s: %s", step, address_name(here).text, strerror(error));
        if (error == EADDRINUSE)
            warnx("choose another port with --port");
        exit(EXIT_FAILURE);
    }
    freeaddrinfo(list);
    if (getsockname(fd, &here->any, &size) == -1) /* the real port, if it was 0 */
        err(EXIT_FAILURE, "getsockname");
    return fd;
}

int main(int argc, char **argv)
{
    struct server_options options = server_options(argc, argv, NULL);
    struct address here, peer;
    bool accept_failed = false; /* true: the last one did, and we have said so */

    log_start();
    int listener = open_listener(options.host, options.port, 0, &here);
    log_line("✅ Server listening on %s", address_name(&here).text);
    log_quiet = options.quiet; /* only now: the address is printed in any case */

    for (;;) {
        int fd = accept_next(listener, 0, &peer);
        if (fd < 0) { /* out of descriptors or memory: it waits in the backlog */
            if (!accept_failed)
                log_error("Failed to accept; err = %s; trying again", strerror(-fd));
            accept_failed = true;
            sleep_ms(ACCEPT_BACKOFF_MS);
            continue;
        }
        accept_failed = false;
        start_thread(fd, &peer);
    }
}
