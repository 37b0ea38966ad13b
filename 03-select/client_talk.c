/* 03-select/client_talk.c: a conversation, `./client -`, with select.
 *
 * One thread listens to keyboard and socket at once: select() tells which of them can be
 * read without waiting.
 */
#include <errno.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "client.h"
#include "client_check.h"
#include "client_window.h"
#include "process.h"
#include "sockets.h"

#define ECHO_SIZE (64 * 1024)

static struct talk {
    int socket;
    bool ended;    /* the keyboard has said its last word */
    bool finished; /* the server has */
    struct window window;
} talk;

/* The keyboard's descriptor stays a blocking one: it belongs to the shell too, which
 * would find it changed. select() has told that this read will not wait. */
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
 * takes, for a server who owes us something PATIENCE seconds. */
static void wait_and_serve(void)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    bool owed = window_owes(&talk.window) || talk.ended;
    struct fault fault;
    fd_set readers, writers;

    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(talk.socket, &readers);
    if (!talk.ended && window_room(&talk.window).length > 0)
        FD_SET(STDIN_FILENO, &readers);
    if (window_unsent(&talk.window).length > 0)
        FD_SET(talk.socket, &writers);
    int ready =
        select(talk.socket + 1, &readers, &writers, NULL, owed ? &patience : NULL);
    if (ready == -1 && errno != EINTR)
        fail("select: %s", strerror(errno));
    if (ready == 0) {
        fault_io(&fault, "select", EAGAIN, talk.window.echoed);
        fail("%s", fault.text);
    }
    if (ready <= 0)
        return;
    if (FD_ISSET(STDIN_FILENO, &readers))
        read_keyboard();
    if (FD_ISSET(STDIN_FILENO, &readers) || FD_ISSET(talk.socket, &writers))
        send_typed();
    if (FD_ISSET(talk.socket, &readers))
        print_echo();
}

int client_talk(const struct client_options *options)
{
    struct address server;

    talk.socket = socket_connect(options->host, options->port, &server);
    int error = socket_set_blocking(talk.socket, false);
    if (error < 0)
        fail("fcntl: %s", strerror(-error));
    if (talk.socket >= FD_SETSIZE)
        fail("select watches descriptors below %d only", FD_SETSIZE);
    while (!talk.finished)
        wait_and_serve();
    (void)close(talk.socket);
    return 0;
}
