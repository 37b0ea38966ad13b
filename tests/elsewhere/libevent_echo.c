/* An echo server as libevent's book builds one: what is in the input buffer is moved to the
 * output buffer; a goodbye or an error frees both.
 * Usage: libevent_echo PORT */
#include <arpa/inet.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

static void guest_spoke(struct bufferevent *guest, void *nothing)
{
    (void)nothing;
    /* fails only without memory: then the echo is late */
    (void)bufferevent_write_buffer(guest, bufferevent_get_input(guest));
}

static void guest_left(struct bufferevent *guest, short events, void *nothing)
{
    (void)nothing;
    if (events & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(guest);
}

static void guest_knocked(struct evconnlistener *door, evutil_socket_t fd,
                          struct sockaddr *who, int length, void *nothing)
{
    struct event_base *base = evconnlistener_get_base(door);
    struct bufferevent *guest =
        bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)who, (void)length, (void)nothing;
    if (guest == NULL) {
        evutil_closesocket(fd);
        return;
    }
    bufferevent_setcb(guest, guest_spoke, NULL, guest_left, NULL);
    bufferevent_enable(guest, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct event_base *base = event_base_new();

    if (argc != 2 || base == NULL)
        return EXIT_FAILURE;
    here.sin_port = htons((unsigned short)atoi(argv[1]));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct evconnlistener *door = evconnlistener_new_bind(
        base, guest_knocked, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
        (struct sockaddr *)&here, sizeof here);
    return door != NULL ? event_base_dispatch(base) : EXIT_FAILURE;
}
