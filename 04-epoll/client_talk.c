/* 04-epoll/client_talk.c: a conversation, `./client -`, with epoll.
 *
 * As with select, one thread listens to keyboard and socket at once. But epoll keeps what
 * it watches between two sleeps, so we tell it only what changes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client.h"
#include "client_check.h"
#include "client_window.h"
#include "process.h"
#include "sockets.h"

#define ECHO_SIZE (64 * 1024)

static struct talk {
    int bells, socket;
    uint32_t keyboard_watched, socket_watched; /* what epoll knows; 0: not watched */
    bool keyboard_is_file; /* a file never rings: it can always be read */
    bool ended;            /* the keyboard has said its last word */
    bool finished;         /* the server has */
    struct window window;
} talk = {.bells = -1, .socket = -1};

/* Who is not wanted at all is taken off: a bare registration would still report a
 * hang-up, again and again. Returns false for what epoll cannot watch: a file. */
static bool watch(int fd, uint32_t *watched, uint32_t wanted)
{
    struct epoll_event bell = {.events = wanted, .data.fd = fd};
    int change = *watched == 0 ? EPOLL_CTL_ADD
                 : wanted == 0 ? EPOLL_CTL_DEL
                               : EPOLL_CTL_MOD;

    if (*watched == wanted)
        return true;
    if (epoll_ctl(talk.bells, change, fd, &bell) == -1) {
        if (errno == EPERM)
            return false;
        fail("epoll_ctl: %s", strerror(errno));
    }
    *watched = wanted;
    return true;
}

/* The keyboard's descriptor stays a blocking one: it belongs to the shell too, which
 * would find it changed. epoll has told that this read will not wait. */
static void read_keyboard(void)
{
    struct piece room = window_room(&talk.window);
    ssize_t length = read(STDIN_FILENO, room.bytes, room.length);
    if (length == -1 && errno != EINTR && errno != EAGAIN)
        fail("stdin: %s", strerror(errno));
    if (length > 0)
        talk.window.typed += (size_t)length;
    talk.ended = length == 0;
}

/* Sends what there is room for. After the last byte of all: our goodbye. */
static void send_typed(void)
{
    struct piece unsent = window_unsent(&talk.window);
    struct fault fault;
    ssize_t sent =
        unsent.length > 0 ? socket_write(talk.socket, unsent.bytes, unsent.length) : 0;
    if (sent < 0 && sent != -EAGAIN) {
        fault_io(&fault, "write", (int)-sent, talk.window.echoed);
        fail("%s", fault.text);
    }
    if (sent > 0)
        talk.window.sent += (size_t)sent;
    if (talk.ended && talk.window.sent == talk.window.typed)
        /* on a dead socket the next read will tell */
        (void)shutdown(talk.socket, SHUT_WR);
}

static void print_echo(void)
{
    static unsigned char echo[ECHO_SIZE];
    struct fault fault;
    ssize_t length = socket_read(talk.socket, echo, sizeof echo);

    if (length == -EAGAIN)
        return;
    talk.finished = length == 0;
    if (length < 0)
        fault_io(&fault, "read", (int)-length, talk.window.echoed);
    if (length < 0 ||
        !(length > 0 ? window_check(&talk.window, echo, (size_t)length, &fault)
                     : window_check_end(&talk.window, talk.ended, &fault)))
        fail("%s", fault.text);
    print_bytes(echo, (size_t)length);
}

/* Sleeps until one of the two has something for us. We wait for a keyboard as long as it
 * takes, for a server who owes us something PATIENCE seconds. Returns the number of
 * bells. */
static int wait_for_bells(struct epoll_event *events, int size)
{
    bool owed = window_owes(&talk.window) || talk.ended;
    bool listening = !talk.ended && window_room(&talk.window).length > 0;
    struct fault fault;

    if (!talk.keyboard_is_file)
        talk.keyboard_is_file = !watch(STDIN_FILENO, &talk.keyboard_watched,
                                       listening ? EPOLLIN : 0);
    (void)watch(talk.socket, &talk.socket_watched, /* a socket can always be watched */
                window_unsent(&talk.window).length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    bool no_sleep = talk.keyboard_is_file && listening;
    int rung = epoll_wait(talk.bells, events, size,
                          no_sleep ? 0 : owed ? PATIENCE * 1000 : -1);
    if (rung == -1 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    if (rung == 0 && !no_sleep) {
        fault_io(&fault, "epoll_wait", EAGAIN, talk.window.echoed);
        fail("%s", fault.text);
    }
    if (no_sleep)
        read_keyboard();
    return rung;
}

static void serve_bells(const struct epoll_event *events, int rung)
{
    for (int i = 0; i < rung; i++) {
        if (events[i].data.fd == STDIN_FILENO)
            read_keyboard();
        else if (events[i].events & ~(uint32_t)EPOLLOUT)
            print_echo();
    }
    if (!talk.finished)
        send_typed();
}

int client_talk(const struct client_options *options)
{
    struct epoll_event events[2];
    struct address server;

    talk.socket = socket_connect(options->host, options->port, &server);
    int error = socket_set_blocking(talk.socket, false);
    if (error < 0)
        fail("fcntl: %s", strerror(-error));
    talk.bells = epoll_create1(EPOLL_CLOEXEC);
    if (talk.bells == -1)
        fail("epoll_create1: %s", strerror(errno));
    while (!talk.finished)
        serve_bells(events, wait_for_bells(events, 2));
    (void)close(talk.socket);
    return 0;
}
