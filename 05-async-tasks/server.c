/* 05-async-tasks/server.c: a waiter for every guest, and one pair of legs for all
 * waiters.
 *
 * It reads like the Tokio tutorial's server: bind; accept in a loop; spawn a task a
 * guest; read, write all, until the guest leaves. Beneath it lies chapter 04's epoll
 * loop: it is in reactor.c and runtime.c now, and knows nothing of guests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl_c.h"
#include "net.h"
#include "options.h"
#include "plates.h"
#include "process.h"
#include "runtime.h"
#include "server_guest.h"
#include "task.h"
#include "timer.h"

#define REST_MS 100 /* when nobody can be taken in: look at the door again after this */
#define GOODBYE_MS 5000 /* after Ctrl-C, guests who have not left by then are cut */

/* ---- async fn closing_time: the last guests, then wait until all have left --------- */

struct closing_time {
    struct future future;
    struct frame frame;
    struct tcp_listener *listener;
    union {
        struct yield turn;
        struct sleep rest;
        struct others_gone others;
    };
};

static struct poll closing_time_poll(struct future *future, struct waker *waker)
{
    struct tcp_stream stream;
    struct address who;
    long error, done;

    ASYNC_BEGIN(closing_time);
    while ((error = tcp_try_accept(self->listener, &stream, &who)) != -EAGAIN) {
        if (error == 0) {
            seat_guest(stream, &who);
            AWAIT(done, self->turn, yield_now()); /* the others have theirs, too */
        } else {
            AWAIT(done, self->rest, sleep_for(REST_MS));
        }
    }
    tcp_listener_close(self->listener);
    AWAIT(done, self->others, others_gone());
    ASYNC_END(done);
}

static void closing_time_drop(struct future *future)
{
    frame_drop(&((struct closing_time *)future)->frame);
}

static struct closing_time closing_time(struct tcp_listener *listener)
{
    static const struct future_kind kind = {closing_time_poll, closing_time_drop};
    return (struct closing_time){.future = {&kind}, .listener = listener};
}

/* ---- async fn server: accept, spawn, accept ... until Ctrl-C ----------------------- */

struct server {
    struct future future;
    struct frame frame;
    int door;
    struct tcp_listener listener;
    const struct address *here; /* to be said at the start; NULL: by somebody else */
    struct tcp_stream stream;   /* the guest who comes next */
    struct address who;
    int shortage; /* the error said last */
    struct tcp_accept accept;
    struct until_ctrl_c open;
    struct sleep rest;
    struct closing_time last_guests;
    struct timeout patience;
};

/* Says so once. He still stands at the door; only if his bell failed is he gone. */
static void note_shortage(struct server *server, int error)
{
    if (error != server->shortage && error != 0)
        log_error("Failed to accept; err = %s; trying again", strerror(error));
    server->shortage = error;
}

static struct poll server_poll(struct future *future, struct waker *waker)
{
    long error, done;

    ASYNC_BEGIN(server);
    error = tcp_listener_from(&self->listener, self->door);
    if (error < 0)
        ASYNC_RETURN(error);
    if (self->here != NULL)
        log_line("✅ Server listening on %s", address_name(self->here).text);
    for (;;) {
        self->accept = tcp_accept(&self->listener, &self->stream, &self->who);
        AWAIT(error, self->open, until_ctrl_c(&self->accept.future));
        if (error == -ECANCELED)
            break;
        note_shortage(self, (int)-error);
        if (error == 0)
            seat_guest(self->stream, &self->who);
        else
            AWAIT(done, self->rest, sleep_for(REST_MS));
    }
    self->last_guests = closing_time(&self->listener);
    AWAIT(done, self->patience, timeout(&self->last_guests.future, GOODBYE_MS));
    ASYNC_END(0); /* who is still here is cut: block_on() drops the tasks that are left */
}

static void server_drop(struct future *future)
{
    struct server *self = (struct server *)future;
    frame_drop(&self->frame);
    tcp_listener_close(&self->listener);
}

static struct server server(int door, const struct address *here)
{
    static const struct future_kind kind = {server_poll, server_drop};
    return (struct server){.future = {&kind}, .door = door, .here = here};
}

/* ---- opening hours ----------------------------------------------------------------- */

static void open_hours(int door, const struct address *here)
{
    struct server hours = server(door, here);
    long error = block_on(hours);
    plates_clear();
    if (error < 0)
        fail("runtime: %s", strerror((int)-error));
}

static void *worker(void *door)
{
    open_hours(*(int *)door, NULL);
    return NULL;
}

/* More cores: a runtime a thread. They share the door, of which each has a copy, the
 * bell of Ctrl-C, the log. The kernel wakes at least one of them for a newcomer. */
static void run_workers(long count, int door, const struct address *here)
{
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    int *doors = calloc((size_t)count, sizeof *doors);

    if (threads == NULL || doors == NULL)
        fail("no memory for %ld workers", count);
    for (long i = 1; i < count; i++) {
        doors[i] = fcntl(door, F_DUPFD_CLOEXEC, 0);
        int error = doors[i] == -1 ? errno
                                   : pthread_create(&threads[i], NULL, worker, &doors[i]);
        if (error != 0)
            fail("worker %ld: %s", i, strerror(error));
    }
    open_hours(door, here);
    for (long i = 1; i < count; i++)
        (void)pthread_join(threads[i], NULL); /* started above, joined once: no error */
    free(threads);
    free(doors);
}

int main(int argc, char **argv)
{
    const char *host = "127.0.0.1";
    long port = 8080, workers = 1, idle_seconds = 0;
    struct address here;
    const struct option_row rows[] = {
        {"host", "ADDRESS", "where to listen (127.0.0.1)", .text = &host},
        {"port", "PORT", "0 lets the kernel choose (8080)", .number = &port,
         .most = 65535},
        {"quiet", NULL, "say nothing about guests", .flag = &guest_quiet},
        {"workers", "N", "threads that serve (1)", .number = &workers, .least = 1,
         .most = 256},
        {"idle-timeout", "SECONDS", "say goodbye to who is silent so long (never)",
         .number = &idle_seconds, .least = 1, .most = 1000000000},
        {0},
    };

    process_start("server");
    (void)options_read(argc, argv, rows, ""); /* there is no operand */
    guest_idle_ms = idle_seconds > 0 ? idle_seconds * 1000 : FOREVER;
    int door = socket_listen(host, port, SOCK_NONBLOCK, &here);
    run_workers(workers, door, &here);
    return EXIT_SUCCESS;
}
