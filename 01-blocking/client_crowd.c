/* 01-blocking/client_crowd.c: `./client --guests N --rounds R`, one guest after the
 * other.
 *
 * One thread cannot wait for two servers' answers, so the second guest sets out when the
 * first is home again.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "client_check.h"
#include "client_exchange.h"
#include "sockets.h"

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

int client_crowd(const struct client_options *options)
{
    struct address server;
    struct report report;

    report_start(&report, options->guests);
    int socket = socket_connect(options->host, options->port, &server);
    for (long guest = 1; guest <= options->guests; guest++) {
        struct fault fault;
        long echoes = 0;
        bool fine = visit(socket, options, guest, &echoes, &fault);
        report_guest(&report, guest, echoes, fine ? NULL : &fault);
        if (guest < options->guests)
            socket = socket_connect_to(&server);
    }
    return report_finish(&report);
}
