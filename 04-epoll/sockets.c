/* sockets.c: the sockets API in a few verbs. See sockets.h. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "process.h"
#include "sockets.h"

static socklen_t address_size(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

struct address_text address_name(const struct address *address)
{
    struct address_text name;
    char host[INET6_ADDRSTRLEN] = "?"; /* stays so for a family that is neither */

    if (address->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        (void)snprintf(name.text, sizeof name.text, "[%s]:%u", host,
                       ntohs(address->v6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        (void)snprintf(name.text, sizeof name.text, "%s:%u", host,
                       ntohs(address->v4.sin_port));
    }
    return name;
}

int socket_resolve(const char *host, long port, struct address list[MAX_ADDRESSES])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char service[24];
    int count = 0;

    (void)snprintf(service, sizeof service, "%ld", port);
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0)
        fail("look up %s: %s", host,
             error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    for (const struct addrinfo *at = found; at != NULL && count < MAX_ADDRESSES;
         at = at->ai_next)
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
            memcpy(&list[count++], at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    if (count == 0)
        fail("look up %s: neither IPv4 nor IPv6", host);
    return count;
}

/* Without it the last short piece of an echo waits for the guest's acknowledgement, and
 * the guest's kernel waits 40 ms before it acknowledges (Nagle's algorithm meets delayed
 * ACK). If it cannot be set, the guest is served all the same, a little later. */
static void send_at_once(int socket)
{
    int yes = 1;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* A byte that was sent as "urgent" (MSG_OOB) would be taken out of the stream, and would
 * not be echoed. If it cannot be left in, all others are echoed all the same. */
static void keep_urgent_bytes(int socket)
{
    int yes = 1;
    (void)setsockopt(socket, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes);
}

/* close() may not be repeated after EINTR on Linux: the descriptor is gone either way. */
static int close_with(int socket, int error)
{
    (void)close(socket);
    return -error;
}

/* One address: socket, bind, listen. *step tells which of the three went wrong. */
static int listen_at(const struct address *address, int flags, const char **step)
{
    int yes = 1;

    *step = "socket";
    int door = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (door == -1)
        return -errno;
    /* A server that restarts may use its port although old connections still linger in
     * TIME_WAIT; without it, bind() itself will say what is wrong. */
    (void)setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    *step = "bind";
    if (bind(door, &address->any, address_size(address)) == -1)
        return close_with(door, errno);
    *step = "listen";
    if (listen(door, SOMAXCONN) == -1)
        return close_with(door, errno);
    return door;
}

int socket_listen(const char *host, long port, int flags, struct address *here)
{
    struct address list[MAX_ADDRESSES];
    const char *step = "listen";
    int count = socket_resolve(host, port, list);
    int door = -1;

    for (int i = 0; i < count && door < 0; i++) {
        *here = list[i];
        door = listen_at(here, flags, &step);
    }
    if (door < 0)
        fail("%s %s: %s", step, address_name(here).text, strerror(-door));
    socklen_t size = sizeof *here;
    if (getsockname(door, &here->any, &size) == -1)
        fail("getsockname: %s", strerror(errno));
    return door;
}

/* accept(2), "Error handling": errors of a connection that died while it stood in the
 * queue. It is out of the queue now; the next one may be in good health. */
static bool guest_is_gone(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

int socket_accept(int door, int flags, struct address *guest)
{
    for (;;) {
        socklen_t size = sizeof *guest;
        int socket = accept4(door, &guest->any, &size, flags | SOCK_CLOEXEC);
        if (socket >= 0) {
            send_at_once(socket);
            keep_urgent_bytes(socket);
            return socket;
        }
        if (errno != EINTR && !guest_is_gone(errno))
            return -errno;
    }
}

ssize_t socket_read(int socket, void *buffer, size_t size)
{
    for (;;) {
        ssize_t length = recv(socket, buffer, size, 0);
        if (length >= 0)
            return length;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t socket_write(int socket, const void *bytes, size_t length)
{
    for (;;) {
        ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return -errno;
    }
}

int socket_start_connect(const struct address *server)
{
    int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int guest = socket(server->any.sa_family, flags, 0);
    if (guest == -1)
        return -errno;
    send_at_once(guest);
    if (connect(guest, &server->any, address_size(server)) == -1 &&
        errno != EINPROGRESS &&
        errno != EINTR) /* interrupted or not, the kernel goes on connecting */
        return close_with(guest, errno);
    return guest;
}

/* A port that the kernel hands out to clients can be our own: with nobody listening
 * there, the socket then connects to itself, and would echo whatever we say to
 * ourselves. */
static bool connected_to_itself(int socket)
{
    struct address here = {0}, there = {0};
    socklen_t here_size = sizeof here, there_size = sizeof there;
    if (getsockname(socket, &here.any, &here_size) == -1 ||
        getpeername(socket, &there.any, &there_size) == -1)
        return false;
    return strcmp(address_name(&here).text, address_name(&there).text) == 0;
}

int socket_connected(int socket)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
        return -errno;
    if (error == 0 && connected_to_itself(socket))
        error = ECONNREFUSED;
    return -error;
}

static int wait_until_connected(int socket)
{
    struct pollfd guest = {.fd = socket, .events = POLLOUT};
    int ready;
    do
        ready = poll(&guest, 1, PATIENCE * 1000);
    while (ready == -1 && errno == EINTR);
    if (ready == -1)
        return -errno;
    return ready == 0 ? -ETIMEDOUT : socket_connected(socket);
}

int socket_set_blocking(int socket, bool blocking)
{
    int flags = fcntl(socket, F_GETFL);
    if (flags == -1)
        return -errno;
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(socket, F_SETFL, flags) == -1 ? -errno : 0;
}

static int set_patience(int socket)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    if (setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == -1 ||
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == -1)
        return -errno;
    return socket_set_blocking(socket, true);
}

int socket_connect_to(const struct address *server)
{
    int guest = socket_start_connect(server);
    if (guest < 0)
        return guest;
    int error = wait_until_connected(guest);
    if (error == 0)
        error = set_patience(guest);
    return error == 0 ? guest : close_with(guest, -error);
}

int socket_connect(const char *host, long port, struct address *server)
{
    struct address list[MAX_ADDRESSES];
    int count = socket_resolve(host, port, list);
    int guest = -1;

    for (int i = 0; i < count && guest < 0; i++) {
        *server = list[i];
        guest = socket_connect_to(server);
    }
    if (guest < 0)
        fail("connect %s: %s", address_name(server).text, strerror(-guest));
    return guest;
}
