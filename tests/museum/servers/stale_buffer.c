/* stale_buffer.c: sends a client what the one before it has left.
 *
 * Wrong: Unsent bytes are kept in a table indexed by the descriptor, and stay there when
 * the connection is closed. The kernel gives its number to the next connection, which is
 * sent the bytes of a stranger.
 * Seen: https://github.com/panjf2000/gnet/issues/621
 * Expect: expected client C: byte 0 to be 0x41 'A', but it is
 * Caught by: tests/server/test_resets.py::test_after_a_reset_the_next_client_is_served
 */
#define _GNU_SOURCE
#include "../right.h"

static struct unsent {
    size_t start, end;
    char bytes[16384];
} table[MAX];

static void serve(int fd, unsigned events)
{
    struct unsent *unsent = &table[fd];
    ssize_t length = 1, sent = 0;

    (void)events;
    if (unsent->start == unsent->end) {
        length = recv(fd, unsent->bytes, sizeof unsent->bytes, 0);
        unsent->start = 0;
        unsent->end = length > 0 ? (size_t)length : 0;
    }
    if (length > 0)
        sent = send(fd, unsent->bytes + unsent->start, unsent->end - unsent->start,
                    MSG_NOSIGNAL);
    if (length <= 0 || (sent == -1 && errno != EAGAIN)) {
        close(fd);
        return;
    }
    unsent->start += sent > 0 ? (size_t)sent : 0;
    watch(EPOLL_CTL_MOD, fd, unsent->start < unsent->end ? EPOLLOUT : EPOLLIN);
}

int main(int argc, char **argv)
{
    serve_with_epoll(open_listener(argc, argv), EPOLLIN, serve);
}
