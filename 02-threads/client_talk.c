/* 02-threads/client_talk.c: a conversation, `./client -`, with two threads.
 *
 * One thread waits for the keyboard and sends; the other waits for the server and prints.
 * Each sleeps in its own call. What both look at, the window, has a lock.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "client.h"
#include "client_check.h"
#include "client_window.h"
#include "clock.h"
#include "process.h"
#include "sockets.h"

#define ECHO_SIZE (64 * 1024)

static struct talk {
    int socket;
    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t has_room; /* an echo came, the window is not full any more */
    struct window window;
    bool ended;      /* we have said goodbye */
    int write_error; /* why we cannot say any more, as an errno; 0: we can */
    int64_t waiting_since; /* for an echo that the server owes us */
} talk = {.lock = PTHREAD_MUTEX_INITIALIZER, .has_room = PTHREAD_COND_INITIALIZER};

/* Sleeps until the window has room. The bytes in the room belong to the caller alone: the
 * other thread reads between echoed and sent only. */
static struct piece wait_for_room(void)
{
    struct piece room;
    (void)pthread_mutex_lock(&talk.lock); /* locks made above cannot fail */
    while ((room = window_room(&talk.window)).length == 0)
        (void)pthread_cond_wait(&talk.has_room, &talk.lock);
    (void)pthread_mutex_unlock(&talk.lock);
    return room;
}

/* Counts the bytes as sent before they are: their echo may be quicker than our next
 * line. */
static void note_sent(size_t length, bool ended)
{
    (void)pthread_mutex_lock(&talk.lock);
    if (!window_owes(&talk.window))
        talk.waiting_since = clock_now();
    talk.window.typed += length;
    talk.window.sent += length;
    talk.ended = ended;
    (void)pthread_mutex_unlock(&talk.lock);
}

/* What goes wrong here is told by the other thread, with what came back until then: a
 * connection reports its error once, and after that only its end. */
static bool send_all(const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = socket_write(talk.socket, bytes, length);
        if (sent < 0) {
            (void)pthread_mutex_lock(&talk.lock);
            talk.write_error = (int)-sent;
            (void)pthread_mutex_unlock(&talk.lock);
            return false;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static void *keyboard_to_server(void *unused)
{
    (void)unused;
    for (;;) {
        struct piece room = wait_for_room();
        ssize_t length = read(STDIN_FILENO, room.bytes, room.length);
        if (length == -1 && errno == EINTR)
            continue;
        if (length == -1)
            fail("stdin: %s", strerror(errno));
        note_sent((size_t)length, length == 0);
        if (length == 0 || !send_all(room.bytes, (size_t)length))
            break;
    }
    (void)shutdown(talk.socket, SHUT_WR); /* on a dead socket the reader hears the rest */
    return NULL;
}

/* We wait for the keyboard as long as it takes, for a server who owes us something
 * PATIENCE seconds. */
static bool patience_is_over(void)
{
    (void)pthread_mutex_lock(&talk.lock);
    bool owed = window_owes(&talk.window) || talk.ended;
    bool over = owed && clock_now() - talk.waiting_since >= PATIENCE * 1000;
    (void)pthread_mutex_unlock(&talk.lock);
    return over;
}

/* Whoever reads our stdout may take his time: the server is not to blame for that. */
static void print_and_wait_anew(const unsigned char *echo, size_t length)
{
    print_bytes(echo, length);
    (void)pthread_mutex_lock(&talk.lock);
    talk.waiting_since = clock_now();
    (void)pthread_mutex_unlock(&talk.lock);
}

/* Checks one read's worth; length 0 is the server's goodbye. */
static bool check(const unsigned char *echo, size_t length, struct fault *fault)
{
    (void)pthread_mutex_lock(&talk.lock);
    bool fine;
    if (length > 0)
        fine = window_check(&talk.window, echo, length, fault);
    else if (talk.write_error != 0)
        fine = fault_io(fault, "write", talk.write_error, talk.window.echoed);
    else
        fine = window_check_end(&talk.window, talk.ended, fault);
    (void)pthread_cond_signal(&talk.has_room);
    (void)pthread_mutex_unlock(&talk.lock);
    return fine;
}

static void server_to_screen(void)
{
    static unsigned char echo[ECHO_SIZE];
    struct fault fault;
    ssize_t length;

    do {
        length = socket_read(talk.socket, echo, sizeof echo);
        if (length == -EAGAIN && !patience_is_over())
            continue;
        if (length < 0) /* `echoed` without the lock: nobody but this thread changes it */
            fault_io(&fault, "read", (int)-length, talk.window.echoed);
        if (length < 0 || !check(echo, (size_t)length, &fault))
            fail("%s", fault.text);
        print_and_wait_anew(echo, (size_t)length);
    } while (length != 0);
}

/* A thread that sleeps in a read cannot be told that the other has sent something, and
 * that the clock runs now. So it looks up once a second. */
static void look_up_each_second(void)
{
    struct timeval second = {.tv_sec = 1};
    if (setsockopt(talk.socket, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == -1)
        fail("setsockopt: %s", strerror(errno));
}

int client_talk(const struct client_options *options)
{
    struct address server;
    pthread_t thread;

    talk.socket = socket_connect(options->host, options->port, &server);
    look_up_each_second();
    int error = pthread_create(&thread, NULL, keyboard_to_server, NULL);
    if (error != 0)
        fail("thread: %s", strerror(error));
    (void)pthread_detach(thread); /* it may still sleep at the keyboard when we end */
    server_to_screen();
    return 0;
}
