/* 02-threads/client_crowd.c: `./client --guests N --rounds R`, a thread for each guest.
 *
 * The guest's evening is that of chapter 01, to the letter; now N of them take place at
 * once. What a thread finds out it keeps in its own row, and the main thread adds up the
 * rows when all are home: nothing is shared, nothing needs a lock.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "client_check.h"
#include "client_exchange.h"
#include "process.h"
#include "sockets.h"

#define STACK_SIZE (128 * 1024) /* the default, 8 MiB, for a thousand guests is 8 GiB */

struct row {
    const struct client_options *options;
    const struct address *server;
    int socket; /* of the first guest, who is connected before he has a thread; else -1 */
    long guest, echoes;
    pthread_t thread;
    bool started, fine;
    struct fault fault;
};

/* One guest's evening. *echoes counts the messages that came back right. */
static bool visit(int socket, const struct client_options *options, long guest,
                  long *echoes, struct fault *fault)
{
    size_t offset = 0;
    bool fine = true;

    if (socket < 0)
        return fault_say(fault, "connect: %s", strerror(-socket));
    for (long round = 1; fine && round <= options->rounds; round++) {
        char *message = crowd_message(options, guest, round);
        size_t length = strlen(message);
        fine = exchange(socket, message, length, offset, fault);
        free(message);
        offset += length;
        *echoes += fine;
    }
    fine = fine && exchange_goodbye(socket, offset, fault);
    (void)close(socket);
    return fine;
}

static void *guest_thread(void *argument)
{
    struct row *row = argument;
    if (row->socket == -1)
        row->socket = socket_connect_to(row->server);
    row->fine = visit(row->socket, row->options, row->guest, &row->echoes, &row->fault);
    return NULL;
}

/* Each row is filled before its thread starts, which may read it from then on. */
static void start_guest(struct row *row, const pthread_attr_t *attributes)
{
    int error = pthread_create(&row->thread, attributes, guest_thread, row);
    row->started = error == 0;
    if (error != 0) {
        fault_say(&row->fault, "no thread: %s", strerror(error));
        if (row->socket != -1)
            (void)close(row->socket);
    }
}

static struct row *start_guests(const struct client_options *options,
                                const struct address *server, int first)
{
    size_t count = (size_t)options->guests;
    struct row *rows = calloc(count, sizeof *rows);
    pthread_attr_t attributes;

    if (rows == NULL)
        fail("no memory for %ld guests", options->guests);
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, STACK_SIZE) != 0)
        fail("thread attributes cannot be set");
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct row){.options = options, .server = server,
                               .socket = i == 0 ? first : -1, .guest = (long)i + 1};
        start_guest(&rows[i], &attributes);
    }
    (void)pthread_attr_destroy(&attributes); /* frees nothing on Linux, cannot fail */
    return rows;
}

int client_crowd(const struct client_options *options)
{
    struct address server;
    struct report report;

    report_start(&report, options->guests);
    int first = socket_connect(options->host, options->port, &server);
    struct row *rows = start_guests(options, &server, first);
    for (long i = 0; i < options->guests; i++) {
        if (rows[i].started)
            (void)pthread_join(rows[i].thread, NULL); /* started, joined once: no error */
        report_guest(&report, rows[i].guest, rows[i].echoes,
                     rows[i].fine ? NULL : &rows[i].fault);
    }
    free(rows);
    return report_finish(&report);
}
