/* tests/bench/libuv.c: an echo server on libuv, as quick as we know how: libuv PORT
 *
 * uv_try_write() first: with uv_write() alone each echo costs an epoll_ctl() more.
 */
#define _GNU_SOURCE /* its header needs more than C11 */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static char shared[65536]; /* a read is written before the next one begins */

struct rest {
    uv_write_t request;
    char bytes[];
};

static void on_close(uv_handle_t *guest)
{
    free(guest);
}

static void on_alloc(uv_handle_t *guest, size_t suggested, uv_buf_t *buffer)
{
    (void)guest;
    (void)suggested;
    *buffer = uv_buf_init(shared, sizeof shared);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status; /* an error comes to on_read() as well */
    free(request);
}

/* What the socket has no room for now is kept until it has. */
static void write_later(uv_stream_t *guest, const char *bytes, size_t length)
{
    struct rest *rest = malloc(sizeof *rest + length);
    uv_buf_t buffer = uv_buf_init(rest->bytes, (unsigned int)length);

    memcpy(rest->bytes, bytes, length);
    (void)uv_write(&rest->request, guest, &buffer, 1, on_written);
}

static void on_read(uv_stream_t *guest, ssize_t length, const uv_buf_t *buffer)
{
    if (length < 0) {
        uv_close((uv_handle_t *)guest, on_close);
        return;
    }
    uv_buf_t bytes = uv_buf_init(buffer->base, (unsigned int)length);
    int sent = length > 0 ? uv_try_write(guest, &bytes, 1) : 0;
    if (sent < 0)
        sent = 0; /* no room, or an error, which on_read() will hear of */
    if (sent < length)
        write_later(guest, buffer->base + sent, (size_t)(length - sent));
}

static void on_guest(uv_stream_t *door, int status)
{
    uv_tcp_t *guest = malloc(sizeof *guest);

    if (status < 0) {
        free(guest);
        return;
    }
    (void)uv_tcp_init(door->loop, guest);
    if (uv_accept(door, (uv_stream_t *)guest) == 0)
        (void)uv_read_start((uv_stream_t *)guest, on_alloc, on_read);
    else
        uv_close((uv_handle_t *)guest, on_close);
}

int main(int argc, char **argv)
{
    struct sockaddr_in here;
    uv_tcp_t door;

    (void)uv_tcp_init(uv_default_loop(), &door);
    (void)uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 8080, &here);
    if (uv_tcp_bind(&door, (const struct sockaddr *)&here, 0) != 0 ||
        uv_listen((uv_stream_t *)&door, 4096, on_guest) != 0)
        return EXIT_FAILURE;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
