/* 05-async-tasks/client_talk.c: a conversation, `./client -`, with two tasks.
 *
 * As with the two threads of chapter 02, one waits for the keyboard and sends, the other
 * waits for the server and prints. But they take turns on one thread, and change over at
 * an await only: what both look at needs no lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "client_keyboard.h"
#include "client_notify.h"
#include "client_window.h"
#include "clock.h"
#include "process.h"

#define ECHO_SIZE (64 * 1024)
#define LOOK_UP_MS 1000 /* from a read: has our patience come to an end? */

static struct talk {
    struct tcp_stream stream;
    struct window window;
    struct notify has_room; /* an echo came, the window is not full any more */
    bool ended;             /* we have said goodbye */
    long write_error;       /* why we cannot say any more, as -errno; 0: we can */
    int64_t waiting_since;  /* for an echo that the server owes us */
    struct fault fault;
    unsigned char echo[ECHO_SIZE];
} talk;

/* ---- async fn keyboard_to_server: the second task ---------------------------------- */

struct keyboard_to_server {
    struct future future;
    struct frame frame;
    union {
        struct notified room;
        struct keyboard_ready ready;
        struct tcp_write_all write_all;
    };
};

/* Returns the piece just typed; length 0 at the end of the input, or after EINTR. */
static struct piece read_keyboard(void)
{
    struct piece room = window_room(&talk.window);
    ssize_t length = read(STDIN_FILENO, room.bytes, room.length);
    if (length == -1 && errno != EINTR && errno != EAGAIN)
        fail("stdin: %s", strerror(errno));
    talk.ended = length == 0;
    if (!window_owes(&talk.window))
        talk.waiting_since = clock_now();
    room.length = length > 0 ? (size_t)length : 0;
    talk.window.typed += room.length;
    talk.window.sent += room.length; /* before it is: its echo cannot come earlier */
    return room;
}

static struct poll keyboard_to_server_poll(struct future *future, struct waker *waker)
{
    struct piece typed;
    long error;

    ASYNC_BEGIN(keyboard_to_server);
    while (!talk.ended) {
        while (window_room(&talk.window).length == 0)
            AWAIT(error, self->room, notified(&talk.has_room));
        AWAIT(error, self->ready, keyboard_ready());
        typed = read_keyboard();
        AWAIT(error, self->write_all,
              tcp_write_all(&talk.stream, typed.bytes, typed.length));
        if (error < 0) {
            talk.write_error = error; /* the other task tells it, */
            break;                    /* when the server answers our goodbye */
        }
    }
    tcp_shutdown(&talk.stream);
    ASYNC_END(0);
}

static void keyboard_to_server_drop(struct future *future)
{
    frame_drop(&((struct keyboard_to_server *)future)->frame);
}

static struct join spawn_keyboard(void)
{
    static const struct future_kind kind = {keyboard_to_server_poll,
                                            keyboard_to_server_drop};
    struct keyboard_to_server keyboard = {.future = {&kind}};
    return spawn(keyboard);
}

/* ---- async fn visit_talk: the first task ------------------------------------------- */

/* We wait for the keyboard as long as it takes, for a server who owes us something
 * PATIENCE seconds. */
static bool patience_is_over(void)
{
    bool owed = window_owes(&talk.window) || talk.ended;
    return owed && clock_now() - talk.waiting_since >= PATIENCE * 1000;
}

/* A read's answer. Returns whether we go on; what is wrong ends the process. */
static bool print_echo(long length)
{
    struct fault *fault = &talk.fault;
    bool fine = true;

    if (length == -ETIMEDOUT && !patience_is_over())
        return true;
    if (length < 0)
        fine = fault_io(fault, "read", length == -ETIMEDOUT ? EAGAIN : (int)-length,
                        talk.window.echoed);
    else if (length == 0 && talk.write_error != 0)
        fine = fault_io(fault, "write", (int)-talk.write_error, talk.window.echoed);
    else if (length == 0)
        fine = window_check_end(&talk.window, talk.ended, fault);
    else
        fine = window_check(&talk.window, talk.echo, (size_t)length, fault);
    if (!fine)
        fail("%s", fault->text);
    /* Who reads our stdout may take his time. Meanwhile this thread stands still, and
     * only a second Ctrl-C is heard. (Tokio has a pool of threads for such calls.) */
    print_bytes(talk.echo, (size_t)length);
    talk.waiting_since = clock_now();
    notify_ring(&talk.has_room);
    return length > 0;
}

static struct poll visit_talk_poll(struct future *future, struct waker *waker)
{
    long answer;

    ASYNC_BEGIN(visit_talk);
    AWAIT(answer, self->connect, connect_any(self->place, &talk.stream, &talk.fault));
    if (answer < 0)
        fail("%s", talk.fault.text);
    self->keyboard = spawn_keyboard();
    if (self->keyboard.task == NULL)
        fail("no memory for a task");
    do {
        self->read = tcp_read(&talk.stream, talk.echo, sizeof talk.echo);
        AWAIT(answer, self->patience, timeout(&self->read.future, LOOK_UP_MS));
    } while (print_echo(answer));
    ASYNC_END(EXIT_SUCCESS);
}

static void visit_talk_drop(struct future *future)
{
    struct visit_talk *self = (struct visit_talk *)future;
    frame_drop(&self->frame);
    if (self->keyboard.task != NULL) {
        task_cancel(&self->keyboard); /* it may still wait for the keyboard */
        future_drop(&self->keyboard.future);
    }
    tcp_close(&talk.stream);
}

struct visit_talk visit_talk(const struct server_place *place)
{
    static const struct future_kind kind = {visit_talk_poll, visit_talk_drop};
    return (struct visit_talk){.future = {&kind}, .place = place};
}
