/* An echo server on libevent, for comparison: libevent PORT
 *
 * What arrives is moved from the input buffer to the output buffer. While much of it is
 * unsent, the connection is not read; it is freed when all that came before its end is sent.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#define MOST_UNSENT (256 * 1024)

static size_t unsent(struct bufferevent *client)
{
    return evbuffer_get_length(bufferevent_get_output(client));
}

static void on_read(struct bufferevent *client, void *context)
{
    (void)context;
    bufferevent_write_buffer(client, bufferevent_get_input(client));
    if (unsent(client) > MOST_UNSENT)
        bufferevent_disable(client, EV_READ);
}

static void on_drained(struct bufferevent *client, void *context)
{
    (void)context;
    bufferevent_enable(client, EV_READ);
}

static void on_last_drained(struct bufferevent *client, void *context)
{
    (void)context;
    bufferevent_free(client);
}

static void on_event(struct bufferevent *client, short what, void *context)
{
    if (what & BEV_EVENT_EOF && unsent(client) > 0)
        bufferevent_setcb(client, NULL, on_last_drained, on_event, context);
    else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(client);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *peer, int size, void *context)
{
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)peer;
    (void)size;
    if (client == NULL) {
        evutil_closesocket(fd);
        return;
    }
    bufferevent_setcb(client, on_read, on_drained, on_event, context);
    bufferevent_enable(client, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct event_base *base = event_base_new();

    signal(SIGPIPE, SIG_IGN); /* libevent writes with writev() */
    if (argc != 2 || base == NULL)
        return EXIT_FAILURE;
    here.sin_port = htons((uint16_t)atoi(argv[1]));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (evconnlistener_new_bind(base, on_connection, NULL,
                                LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 4096,
                                (struct sockaddr *)&here, sizeof here) == NULL)
        return EXIT_FAILURE;
    return event_base_dispatch(base);
}
