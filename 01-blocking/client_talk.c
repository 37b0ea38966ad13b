/* 01-blocking/client_talk.c: a conversation, `./client -`, by taking turns.
 *
 * A blocking call waits for one thing. While we wait for the keyboard we do not hear the
 * server, so we never let him owe us anything: a line out, its echo in, the next line.
 * A server that speaks first, or later, would not be heard. Chapter 02 has the cure.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "client_check.h"
#include "client_exchange.h"
#include "process.h"
#include "sockets.h"

#define LINE_SIZE (16 * 1024)

/* Returns how many bytes came, 0 at the end of the input. */
static size_t read_keyboard(unsigned char *line, size_t size)
{
    ssize_t length;
    do
        length = read(STDIN_FILENO, line, size);
    while (length == -1 && errno == EINTR);
    if (length == -1)
        fail("stdin: %s", strerror(errno));
    return (size_t)length;
}

int client_talk(const struct client_options *options)
{
    static unsigned char line[LINE_SIZE];
    struct address server;
    struct fault fault;
    size_t offset = 0, length;

    int socket = socket_connect(options->host, options->port, &server);
    while ((length = read_keyboard(line, sizeof line)) > 0) {
        if (!exchange(socket, line, length, offset, &fault))
            fail("%s", fault.text);
        print_bytes(line, length); /* equal to its echo: exchange() has compared them */
        offset += length;
    }
    if (!exchange_goodbye(socket, offset, &fault))
        fail("%s", fault.text);
    (void)close(socket);
    return 0;
}
