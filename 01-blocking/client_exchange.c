/* client_exchange.c: say something, hear it again. See client_exchange.h. */
#include "client_exchange.h"

#include <errno.h>
#include <sys/socket.h>

#include "sockets.h"

/* Who sends a long message before he reads anything can wait for ever: the server waits
 * for us to read its echo, we wait for it to read our message. A piece this small always
 * fits into the buffers on the way, so that our turn to read always comes. */
#define PIECE 4096

static bool send_piece(int socket, const unsigned char *piece, size_t length,
                       size_t offset, struct fault *fault)
{
    while (length > 0) {
        ssize_t sent = socket_write(socket, piece, length);
        if (sent < 0)
            return fault_io(fault, "write", (int)-sent, offset);
        piece += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* One read may bring a part of the echo only: TCP carries bytes, not messages. `end` is
 * where the whole message ends, for the line that tells how much is missing. */
static bool receive_piece(int socket, const unsigned char *piece, size_t length,
                          size_t offset, size_t end, struct fault *fault)
{
    unsigned char echo[PIECE];
    size_t done = 0;

    while (done < length) {
        ssize_t got = socket_read(socket, echo, length - done);
        if (got < 0)
            return fault_io(fault, "read", (int)-got, offset + done);
        if (got == 0)
            return fault_early_end(fault, offset + done, end);
        if (!echo_is_right(piece + done, echo, (size_t)got, offset + done, fault))
            return false;
        done += (size_t)got;
    }
    return true;
}

bool exchange(int socket, const void *message, size_t length, size_t offset,
              struct fault *fault)
{
    const unsigned char *piece = message;
    size_t end = offset + length;

    for (size_t left = length; left > 0;) {
        size_t size = left < PIECE ? left : PIECE;
        if (!send_piece(socket, piece, size, end - left, fault) ||
            !receive_piece(socket, piece, size, end - left, end, fault))
            return false;
        piece += size;
        left -= size;
    }
    return true;
}

bool exchange_goodbye(int socket, size_t offset, struct fault *fault)
{
    unsigned char extra;

    if (shutdown(socket, SHUT_WR) == -1)
        return fault_io(fault, "shutdown", errno, offset);
    ssize_t got = socket_read(socket, &extra, 1);
    if (got < 0)
        return fault_io(fault, "read", (int)-got, offset);
    return got == 0 || fault_extra_byte(fault, offset);
}
