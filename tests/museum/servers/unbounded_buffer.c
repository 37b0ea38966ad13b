/* unbounded_buffer.c: keeps everything that it cannot send yet.
 *
 * Wrong: Keeping the unsent bytes is right; to go on reading is not. A client that sends
 * and never reads fills the memory.
 * Seen: the echo server in the guide of a famous event loop, which 256 MiB raise to 261
 * MB; most event loops with a write() that always succeeds.
 * Expect: expected the server to stop reading when it cannot write, but its memory grew
 * by
 * Caught by: tests/server/test_slow_readers.py::test_memory_stays_bounded_when_nobody_reads
 */
#define _GNU_SOURCE
#include "../right.h"

static struct unsent {
    char *bytes;
    size_t start, end;
    bool ended;
} table[MAX];

static void read_more(int fd, struct unsent *unsent)
{
    static char bytes[65536];
    ssize_t length = recv(fd, bytes, sizeof bytes, 0);

    unsent->ended |= length == 0;
    if (length > 0) {
        unsent->bytes = realloc(unsent->bytes, unsent->end + (size_t)length);
        memcpy(unsent->bytes + unsent->end, bytes, (size_t)length);
        unsent->end += (size_t)length;
    }
}

static void serve(int fd, unsigned events)
{
    struct unsent *unsent = &table[fd];

    if (events & EPOLLIN)
        read_more(fd, unsent);
    ssize_t sent = send(fd, unsent->bytes + unsent->start, unsent->end - unsent->start,
                        MSG_NOSIGNAL);
    unsent->start += sent > 0 ? (size_t)sent : 0;
    if (unsent->start == unsent->end)
        unsent->start = unsent->end = 0;
    bool failed = sent == -1 && errno != EAGAIN;
    if (failed || (unsent->ended && unsent->end == 0)) {
        close(fd);
        free(unsent->bytes);
        *unsent = (struct unsent){0};
        return;
    }
    watch(EPOLL_CTL_MOD, fd,
          (unsent->ended ? 0 : EPOLLIN) | (unsent->end > 0 ? EPOLLOUT : 0));
}

int main(int argc, char **argv)
{
    serve_with_epoll(open_listener(argc, argv), EPOLLIN, serve);
}
