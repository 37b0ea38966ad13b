/* client_visit.c: one guest's evening as a state machine. See client_visit.h. */
#include "client_visit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ECHO_SIZE (64 * 1024)

static void end_visit(struct visit *visit, bool fine)
{
    visit->state = VISIT_OVER;
    visit->failed = !fine;
    free(visit->message);
    visit->message = NULL;
    if (visit->socket >= 0)
        (void)close(visit->socket);
}

static void begin_round(struct visit *visit)
{
    free(visit->message);
    visit->before += visit->length;
    visit->message = crowd_message(visit->options, visit->guest, ++visit->round);
    visit->length = strlen(visit->message);
    visit->sent = visit->echoed = 0;
}

void visit_start(struct visit *visit, const struct client_options *options,
                 const struct address *server, long guest, int socket)
{
    *visit = (struct visit){.options = options, .guest = guest, .socket = socket,
                            .state = VISIT_TALKING};
    if (socket == -1) {
        visit->state = VISIT_CONNECTING;
        visit->socket = socket_start_connect(server);
    }
    if (visit->socket < 0)
        end_visit(visit,
                  fault_say(&visit->fault, "connect: %s", strerror(-visit->socket)));
    else
        begin_round(visit);
}

/* The three steps below return false when they can do nothing more for now. */

static bool finish_connecting(struct visit *visit)
{
    int error = socket_connected(visit->socket);
    if (error < 0)
        end_visit(visit, fault_say(&visit->fault, "connect: %s", strerror(-error)));
    else
        visit->state = VISIT_TALKING;
    return true;
}

static bool send_message(struct visit *visit)
{
    ssize_t sent = socket_write(visit->socket, visit->message + visit->sent,
                                visit->length - visit->sent);
    if (sent == -EAGAIN)
        return false;
    if (sent < 0)
        end_visit(visit, fault_io(&visit->fault, "write", (int)-sent,
                                  visit->before + visit->echoed));
    else
        visit->sent += (size_t)sent;
    return true;
}

/* An echo read while talking or leaving; length 0 is the server's goodbye. */
static void take_echo(struct visit *visit, const char *echo, size_t length)
{
    size_t offset = visit->before + visit->echoed;
    size_t due = visit->sent - visit->echoed;

    if (length == 0 && visit->state == VISIT_LEAVING)
        end_visit(visit, true);
    else if (length == 0)
        end_visit(visit, fault_early_end(&visit->fault, offset,
                                         visit->before + visit->length));
    else if (!echo_is_right(visit->message + visit->echoed, echo,
                            length < due ? length : due, offset, &visit->fault))
        end_visit(visit, false);
    else if (length > due)
        end_visit(visit, fault_extra_byte(&visit->fault, offset + due));
    else
        visit->echoed += length;
}

static bool receive_echo(struct visit *visit)
{
    static char echo[ECHO_SIZE];
    ssize_t length = socket_read(visit->socket, echo, sizeof echo);
    if (length == -EAGAIN)
        return false;
    if (length < 0)
        end_visit(visit, fault_io(&visit->fault, "read", (int)-length,
                                  visit->before + visit->echoed));
    else
        take_echo(visit, echo, (size_t)length);
    return true;
}

/* All of a message is back: the next one, or goodbye. */
static void finish_round(struct visit *visit)
{
    visit->echoes++;
    if (visit->round < visit->options->rounds) {
        begin_round(visit);
    } else {
        visit->state = VISIT_LEAVING;
        /* on a dead socket the next read will tell */
        (void)shutdown(visit->socket, SHUT_WR);
    }
}

unsigned visit_go_on(struct visit *visit)
{
    bool moved = true;

    if (visit->state == VISIT_CONNECTING)
        (void)finish_connecting(visit); /* it always moves: to talking, or over */
    while (moved && visit->state != VISIT_OVER) {
        moved = false;
        if (visit->sent < visit->length)
            moved = send_message(visit);
        if (visit->state != VISIT_OVER)
            moved = receive_echo(visit) || moved;
        if (visit->state == VISIT_TALKING && visit->echoed == visit->length)
            finish_round(visit);
    }
    if (visit->state == VISIT_OVER)
        return VISIT_NOTHING;
    return visit->sent < visit->length ? VISIT_READ | VISIT_WRITE : VISIT_READ;
}

void visit_give_up(struct visit *visit)
{
    if (visit->state == VISIT_CONNECTING)
        end_visit(visit, fault_say(&visit->fault, "connect: %s", strerror(ETIMEDOUT)));
    else
        end_visit(visit, fault_io(&visit->fault, "read", EAGAIN,
                                  visit->before + visit->echoed));
}
