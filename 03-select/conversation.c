/* conversation.c: what a client says to the server, and what comes back. See
 * conversation.h. After a fault it exits, with a line on stderr.
 */
#define _GNU_SOURCE
#include "conversation.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console.h"

static bool is_transient(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* A write error is reported only after we have read all that came back before it. */
static void end_input(struct conversation *self, int write_error)
{
    self->ended = true;
    self->write_error = write_error;
    self->unsent_length = 0;
    (void)shutdown(self->server, SHUT_WR); /* if the server is gone, recv() says so */
}

/* A message has no end of input: it ends when its echo is complete. */
static void end_message(struct conversation *self)
{
    if (self->message == NULL || self->ended || self->unsent_length > 0 ||
        self->received < self->sent)
        return;
    print("Received echo from server: '%s'\n", self->message);
    end_input(self, 0);
}

void conversation_start(struct conversation *self, int server, const char *message)
{
    *self = (struct conversation){.server = server};
    if (strcmp(message, "-") == 0)
        return;
    self->message = self->unsent = message;
    self->unsent_length = strlen(message);
    print("Successfully connected to server\nSending message: '%s'\n", message);
    end_message(self); /* if it is empty */
}

bool conversation_wants_stdin(const struct conversation *self)
{
    return self->message == NULL && !self->ended && self->unsent_length == 0;
}

bool conversation_wants_write(const struct conversation *self)
{
    return self->unsent_length > 0;
}

int conversation_timeout(struct conversation *self)
{
    bool owes = self->sent > self->received || self->unsent_length > 0 || self->ended;

    patience_check(&self->patience, self->server, owes, self->received);
    return owes ? CLIENT_TICK_MS : -1; /* a server that owes nothing may be silent */
}

/* Stdin may be a blocking descriptor, and stays one: others share it. */
void conversation_read_stdin(struct conversation *self)
{
    static char buffer[64 * 1024];
    ssize_t length = read(STDIN_FILENO, buffer, sizeof buffer);

    if (length == -1 && !is_transient(errno))
        err(EXIT_FAILURE, "stdin");
    if (length == 0)
        end_input(self, 0);
    if (length <= 0)
        return;
    self->unsent = buffer;
    self->unsent_length = (size_t)length;
    conversation_write(self);
}

void conversation_write(struct conversation *self)
{
    ssize_t length = send(self->server, self->unsent, self->unsent_length, MSG_NOSIGNAL);

    if (length >= 0) {
        self->sent += length;
        self->unsent += length;
        self->unsent_length -= (size_t)length;
    } else if (!is_transient(errno)) {
        end_input(self, errno);
    }
}

void conversation_read(struct conversation *self)
{
    static char echo[64 * 1024];
    ssize_t length = recv(self->server, echo, sizeof echo, 0);

    if (length == -1 && is_transient(errno))
        return;
    if (length == -1)
        errx(EXIT_FAILURE, FAULT_CALL, "read", self->received, strerror(errno));
    if (length == 0)
        check_end(self->ended, self->write_error,
                  self->sent + (long long)self->unsent_length, self->received);
    if (self->message == NULL)
        print_bytes(echo, (size_t)length);
    check_echo(self->message, self->sent, self->received, echo, (size_t)length);
    self->received += length;
    self->finished = length == 0;
    end_message(self);
}
