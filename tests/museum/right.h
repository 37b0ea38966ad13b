/* right.h: what the wrong programs do right, written once, so that each file shows its
 * one mistake and little else. (How to do all of it right: see the chapters.)
 */
#ifndef RIGHT_H
#define RIGHT_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static inline _Noreturn void fail(const char *call)
{
    perror(call);
    exit(EXIT_FAILURE);
}

static inline _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "client: %s\n", why);
    exit(EXIT_FAILURE);
}

/* Every program here is called with a port as its only argument. */
static inline struct sockaddr_in loopback(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : "8080";

    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Sends all of it, in as many calls as it takes. Blocks until there is room. */
static inline bool send_all(int fd, const char *bytes, size_t length)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    while (length > 0) {
        (void)poll(&room, 1, -1);
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent == -1)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* ---- servers ---------------------------------------------------------------------- */

static inline int open_listener(int argc, char **argv)
{
    struct sockaddr_in here = loopback(argc, argv);
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) == -1 ||
        listen(listener, 4096) == -1)
        fail("listen");
    return listener;
}

/* accept4(), which in a shortage waits a little, so that its caller does not spin. */
static inline int accept_or_wait(int listener, int flags)
{
    int fd = accept4(listener, NULL, NULL, flags);

    if (fd == -1)
        usleep(10000);
    return fd;
}

/* A right echo, for a thread of its own. */
static inline void *echo(void *argument)
{
    int fd = (int)(long)argument;
    char bytes[4096];
    ssize_t length;

    while ((length = read(fd, bytes, sizeof bytes)) > 0)
        if (!send_all(fd, bytes, (size_t)length))
            break;
    close(fd);
    return NULL;
}

static inline void start_thread(int fd, void *(*serve)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, serve, (void *)(long)fd) == 0)
        pthread_detach(thread);
    else
        close(fd);
}

/* A thread for each connection, for ever. */
static inline _Noreturn void serve_with_threads(int listener, void *(*serve)(void *))
{
    for (;;) {
        int fd = accept_or_wait(listener, 0);
        if (fd != -1)
            start_thread(fd, serve);
    }
}

/* Descriptors are below this wherever an array is indexed by them. */
#define MAX 4096

static int epoll_fd;

static inline void watch(int operation, int fd, unsigned events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    epoll_ctl(epoll_fd, operation, fd, &event);
}

/* One thread, all connections, for ever: serve() is called when one has `events`. */
static inline _Noreturn void serve_with_epoll(int listener, unsigned events,
                                              void (*serve)(int fd, unsigned events))
{
    struct epoll_event event;

    epoll_fd = epoll_create1(0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
            continue; /* EINTR: stopped with Ctrl-Z, and continued */
        if (event.data.fd != listener) {
            serve(event.data.fd, event.events);
            continue;
        }
        int fd = accept_or_wait(listener, SOCK_NONBLOCK);
        if (fd >= MAX)
            close(fd);
        else if (fd != -1)
            watch(EPOLL_CTL_ADD, fd, events);
    }
}

/* ---- clients ---------------------------------------------------------------------- */

static inline int connect_unchecked(int argc, char **argv)
{
    struct sockaddr_in there = loopback(argc, argv);
    struct timeval timeout = {.tv_sec = 10};
    int server = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(server, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect(server, (struct sockaddr *)&there, sizeof there) == -1)
        fail("connect");
    return server;
}

/* A connection to a server, and not to itself. */
static inline int connect_to_server(int argc, char **argv)
{
    struct sockaddr_in here = {0};
    socklen_t size = sizeof here;
    int server = connect_unchecked(argc, argv);

    getsockname(server, (struct sockaddr *)&here, &size);
    if (here.sin_port == loopback(argc, argv).sin_port)
        give_up("connected to itself: there is no server");
    return server;
}

/* Waits for stdin and for the server, which should be silent. Returns how much came from
 * stdin, 0 at its end. */
static inline size_t read_stdin(int server, char *bytes, size_t size)
{
    struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = server, .events = POLLIN}};

    (void)poll(both, 2, -1);
    if (both[1].revents != 0)
        give_up("the server sends something unasked, or has closed the connection");
    ssize_t length = read(STDIN_FILENO, bytes, size);
    if (length == -1)
        fail("stdin");
    return (size_t)length;
}

static inline void wait_for_server(int server)
{
    struct pollfd echo = {.fd = server, .events = POLLIN};

    if (poll(&echo, 1, 10000) == 0)
        give_up("no progress for 10 seconds");
}

/* Reads the echo, however it is cut, and compares it. */
static inline void expect_echo(int server, const char *sent, size_t length)
{
    char received[4096];

    while (length > 0) {
        wait_for_server(server);
        size_t size = length < sizeof received ? length : sizeof received;
        ssize_t count = recv(server, received, size, 0);
        if (count == -1)
            fail("recv");
        if (count == 0)
            give_up("the echo is too short");
        if (memcmp(sent, received, (size_t)count) != 0)
            give_up("the echo differs from what was sent");
        sent += count;
        length -= (size_t)count;
    }
}

static inline void send_or_fail(int server, const char *bytes, size_t length)
{
    if (!send_all(server, bytes, length))
        fail("send");
}

static inline void print(const char *bytes, size_t length)
{
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout) != 0)
        fail("stdout");
}

/* Ends this side, and expects the end of the other one. */
static inline void finish(int server)
{
    char more;

    shutdown(server, SHUT_WR);
    wait_for_server(server);
    if (recv(server, &more, 1, 0) != 0)
        give_up("the server does not end the connection");
}

#endif
