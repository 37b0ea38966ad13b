/* client.c: a guest. One message here; client_talk.c and client_crowd.c hold the other
 * two ways to visit, each with the technique of its chapter.
 */
#include "client.h"

#include <string.h>
#include <unistd.h>

#include "client_check.h"
#include "client_exchange.h"
#include "process.h"
#include "sockets.h"

/* One guest says one message and waits for the whole echo. */
static int client_once(const struct client_options *options)
{
    size_t length = strlen(options->message);
    struct address server;
    struct fault fault;

    int socket = socket_connect(options->host, options->port, &server);
    print("Successfully connected to server\n");
    print("Sending message: '%s'\n", options->message);
    if (!exchange(socket, options->message, length, 0, &fault))
        fail("%s", fault.text);
    print("Received echo from server: '%s'\n", options->message); /* they are equal */
    if (!exchange_goodbye(socket, length, &fault))
        fail("%s", fault.text);
    (void)close(socket);
    return 0;
}

int main(int argc, char **argv)
{
    process_start("client");
    struct client_options options = client_options(argc, argv);
    if (options.guests > 0)
        return client_crowd(&options);
    if (strcmp(options.message, "-") == 0)
        return client_talk(&options);
    return client_once(&options);
}
