/* An echo server as libuv's guide builds one: each read is written back from memory of its
 * own, which is freed when the write is done. Nothing holds up the reading meanwhile.
 * Usage: libuv_echo PORT */
#include <stdlib.h>
#include <uv.h>

struct echo {
    uv_write_t request;
    char *plate;
};

static void guest_gone(uv_handle_t *guest)
{
    free(guest);
}

static void make_room(uv_handle_t *guest, size_t suggested, uv_buf_t *buffer)
{
    (void)guest; /* every guest gets the same */
    buffer->base = malloc(suggested);
    buffer->len = buffer->base != NULL ? suggested : 0;
}

static void echo_done(uv_write_t *request, int status)
{
    struct echo *echo = (struct echo *)request;
    (void)status; /* the read tells as well, and closes */
    free(echo->plate);
    free(echo);
}

static void guest_spoke(uv_stream_t *guest, ssize_t length, const uv_buf_t *buffer)
{
    struct echo *echo = length > 0 ? malloc(sizeof *echo) : NULL;
    uv_buf_t order = uv_buf_init(buffer->base, length > 0 ? (unsigned)length : 0);

    if (echo != NULL) {
        echo->plate = buffer->base;
        if (uv_write(&echo->request, guest, &order, 1, echo_done) == 0)
            return;
        free(echo);
    }
    free(buffer->base);
    if (length < 0 && !uv_is_closing((uv_handle_t *)guest))
        uv_close((uv_handle_t *)guest, guest_gone);
}

static void guest_knocked(uv_stream_t *door, int status)
{
    uv_tcp_t *guest = status == 0 ? malloc(sizeof *guest) : NULL;

    if (guest == NULL || uv_tcp_init(door->loop, guest) != 0) {
        free(guest);
        return;
    }
    if (uv_accept(door, (uv_stream_t *)guest) == 0 &&
        uv_read_start((uv_stream_t *)guest, make_room, guest_spoke) == 0)
        return;
    uv_close((uv_handle_t *)guest, guest_gone);
}

int main(int argc, char **argv)
{
    uv_tcp_t door;
    struct sockaddr_in here;
    uv_loop_t *loop = uv_default_loop();

    if (argc != 2 || uv_tcp_init(loop, &door) != 0 ||
        uv_ip4_addr("127.0.0.1", atoi(argv[1]), &here) != 0 ||
        uv_tcp_bind(&door, (const struct sockaddr *)&here, 0) != 0 ||
        uv_listen((uv_stream_t *)&door, 4096, guest_knocked) != 0)
        return EXIT_FAILURE;
    return uv_run(loop, UV_RUN_DEFAULT);
}
