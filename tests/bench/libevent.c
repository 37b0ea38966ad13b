/* tests/bench/libevent.c: the echo server of the libevent book: libevent PORT */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdint.h>
#include <stdlib.h>

static void on_read(struct bufferevent *guest, void *context)
{
    (void)context;
    (void)evbuffer_add_buffer(bufferevent_get_output(guest),
                              bufferevent_get_input(guest));
}

static void on_event(struct bufferevent *guest, short what, void *context)
{
    (void)context;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(guest);
}

static void on_guest(struct evconnlistener *door, evutil_socket_t fd,
                     struct sockaddr *who, int size, void *context)
{
    struct event_base *base = evconnlistener_get_base(door);
    struct bufferevent *guest =
        bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)who;
    (void)size;
    (void)context;
    bufferevent_setcb(guest, on_read, NULL, on_event, NULL);
    (void)bufferevent_enable(guest, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct event_base *base = event_base_new();

    here.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (evconnlistener_new_bind(base, on_guest, NULL,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
                                (struct sockaddr *)&here, sizeof here) == NULL)
        return EXIT_FAILURE;
    return event_base_dispatch(base);
}
