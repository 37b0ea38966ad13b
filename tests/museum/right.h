/* right.h: what the wrong servers and clients do right, written once. So a piece shows
 * its one mistake, and little else. (How to do all of it right: see the chapters.)
 */
#ifndef RIGHT_H
#define RIGHT_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static inline _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static inline _Noreturn void complain(const char *what)
{
    fprintf(stderr, "client: %s\n", what);
    exit(EXIT_FAILURE);
}

/* The first argument is the port; every piece is called so. */
static inline struct sockaddr_in loopback(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : "8080";

    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Writes all of it to a socket, however often it takes, and waits for room, which is slow
 * for the others but loses nothing. -1: nobody is there any more. */
static inline int write_all(int to, const char *bytes, size_t length)
{
    struct pollfd room = {.fd = to, .events = POLLOUT};

    while (length > 0) {
        poll(&room, 1, -1);
        ssize_t sent = send(to, bytes, length, MSG_NOSIGNAL);
        if (sent == -1)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* For servers: `flags` may be SOCK_NONBLOCK. */
static inline int open_door(int argc, char **argv, int flags)
{
    struct sockaddr_in here = loopback(argc, argv);
    int yes = 1, door = socket(AF_INET, SOCK_STREAM | flags, 0);

    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(door, (struct sockaddr *)&here, sizeof here) == -1 ||
        listen(door, 4096) == -1)
        give_up("listen");
    return door;
}

/* A right echo, for a thread of its own. */
static inline void *serve_until_goodbye(void *argument)
{
    int guest = (int)(long)argument;
    char bytes[4096];
    ssize_t length;

    while ((length = read(guest, bytes, sizeof bytes)) > 0)
        if (write_all(guest, bytes, (size_t)length) == -1)
            break;
    close(guest);
    return NULL;
}

static inline void start_host(int guest, void *(*serve_guest)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, serve_guest, (void *)(long)guest) == 0)
        pthread_detach(thread);
    else
        close(guest);
}

/* accept4(), which, when there is a shortage, waits a little so as not to spin. */
static inline int take_in(int door, int flags)
{
    int guest = accept4(door, NULL, NULL, flags);

    if (guest == -1 && errno != EAGAIN)
        usleep(10000);
    return guest;
}

/* A thread for each guest, for ever. */
static inline _Noreturn void take_in_guests(int door, void *(*serve_guest)(void *))
{
    for (;;) {
        int guest = take_in(door, 0);
        if (guest != -1)
            start_host(guest, serve_guest);
    }
}

/* For clients: a connection, or the end of their patience after ten seconds. */
static inline int knock_blindly(int argc, char **argv)
{
    struct sockaddr_in there = loopback(argc, argv);
    struct timeval patience = {.tv_sec = 10};
    int server = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(server, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(server, (struct sockaddr *)&there, sizeof there) == -1)
        give_up("connect");
    return server;
}

/* A connection to a server, and not to oneself. */
static inline int knock(int argc, char **argv)
{
    struct sockaddr_in here = {0};
    socklen_t size = sizeof here;
    int server = knock_blindly(argc, argv);

    getsockname(server, (struct sockaddr *)&here, &size);
    if (here.sin_port == loopback(argc, argv).sin_port)
        complain("there is no server: it met itself");
    return server;
}

/* Listens to the keyboard and to the server, who should be silent. How much was typed? */
static inline size_t read_keyboard(int server, char *bytes, size_t size)
{
    struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = server, .events = POLLIN}};

    poll(both, 2, -1);
    if (both[1].revents != 0)
        complain("the server speaks, or goes, and nobody asked it to");
    ssize_t length = read(STDIN_FILENO, bytes, size);
    if (length == -1)
        give_up("stdin");
    return (size_t)length;
}

/* Has the server anything to say within ten seconds? */
static inline void wait_for_server(int server)
{
    struct pollfd echo = {.fd = server, .events = POLLIN};

    if (poll(&echo, 1, 10000) == 0)
        complain("no progress for 10 seconds");
}

/* Reads the echo, however it is cut, and compares it. */
static inline void hear_echo(int server, const char *said, size_t length)
{
    char heard[4096];

    while (length > 0) {
        wait_for_server(server);
        size_t size = length < sizeof heard ? length : sizeof heard;
        ssize_t count = recv(server, heard, size, 0);
        if (count == -1)
            give_up("recv");
        if (count == 0)
            complain("the echo is too short");
        if (memcmp(said, heard, (size_t)count) != 0)
            complain("the echo is not what was said");
        said += count;
        length -= (size_t)count;
    }
}

static inline void say(int server, const char *bytes, size_t length)
{
    if (write_all(server, bytes, length) == -1)
        give_up("send");
}

static inline void show(const char *bytes, size_t length)
{
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout) != 0)
        give_up("stdout");
}

static inline void say_goodbye(int server)
{
    char more;

    shutdown(server, SHUT_WR);
    wait_for_server(server);
    if (recv(server, &more, 1, 0) != 0)
        complain("the server does not say goodbye");
}

#endif
