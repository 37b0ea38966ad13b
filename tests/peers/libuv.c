/* An echo server on libuv, for comparison: libuv PORT
 *
 * It writes what it has read at once. What the socket does not take is copied and written
 * later, and until then nothing more is read from that connection.
 */
#define _GNU_SOURCE /* uv.h needs more than C11 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static char buffer[65536]; /* one for all: a read is written before the next one begins */

struct rest {
    uv_write_t request;
    char bytes[];
};

static void on_read(uv_stream_t *client, ssize_t length, const uv_buf_t *bytes);

static void on_close(uv_handle_t *client)
{
    free(client);
}

static void on_alloc(uv_handle_t *client, size_t suggested, uv_buf_t *bytes)
{
    (void)client;
    (void)suggested;
    *bytes = uv_buf_init(buffer, sizeof buffer);
}

static void close_client(uv_stream_t *client)
{
    if (!uv_is_closing((uv_handle_t *)client))
        uv_close((uv_handle_t *)client, on_close);
}

static void on_written(uv_write_t *request, int status)
{
    if (status == 0)
        uv_read_start(request->handle, on_alloc, on_read);
    else
        close_client(request->handle);
    free(request);
}

static void write_later(uv_stream_t *client, const char *bytes, size_t length)
{
    struct rest *rest = malloc(sizeof *rest + length);

    if (rest == NULL) {
        close_client(client);
        return;
    }
    memcpy(rest->bytes, bytes, length);
    uv_buf_t copy = uv_buf_init(rest->bytes, (unsigned)length);
    uv_read_stop(client);
    if (uv_write(&rest->request, client, &copy, 1, on_written) != 0) {
        free(rest);
        close_client(client);
    }
}

static void on_read(uv_stream_t *client, ssize_t length, const uv_buf_t *bytes)
{
    if (length == 0) /* nothing to read after all */
        return;
    if (length < 0) {
        close_client(client);
        return;
    }
    uv_buf_t echo = uv_buf_init(bytes->base, (unsigned)length);
    int sent = uv_try_write(client, &echo, 1);
    if (sent < 0)
        sent = 0; /* no room; an error is reported again by the write or the next read */
    if (sent < length)
        write_later(client, bytes->base + sent, (size_t)(length - sent));
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = status == 0 ? malloc(sizeof *client) : NULL;

    if (client == NULL)
        return;
    uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client) != 0 ||
        uv_read_start((uv_stream_t *)client, on_alloc, on_read) != 0)
        close_client((uv_stream_t *)client);
}

int main(int argc, char **argv)
{
    struct sockaddr_in here;
    uv_tcp_t listener;

    signal(SIGPIPE, SIG_IGN); /* libuv writes with write(): a peer that is gone would end us */
    if (argc != 2 || uv_tcp_init(uv_default_loop(), &listener) != 0 ||
        uv_ip4_addr("127.0.0.1", atoi(argv[1]), &here) != 0 ||
        uv_tcp_bind(&listener, (const struct sockaddr *)&here, 0) != 0 ||
        uv_listen((uv_stream_t *)&listener, 4096, on_connection) != 0)
        return EXIT_FAILURE;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
