/* ends_at_eintr.c: exits when it is stopped and continued.
 *
 * Wrong: epoll_wait() may fail with EINTR: "nothing happened, call again". It does so
 * even in a program without signal handlers, after Ctrl-Z and fg, under a debugger, or
 * when a laptop has slept (signal(7) has a section on it). This server takes it for an
 * error.
 * Seen: three event loops that ended after a suspend, each with an issue about it.
 * Expect: ended with exit status 1. Its last words on stderr: epoll_wait: Interrupted
 * system call
 * Caught by: tests/server/test_half_close.py::test_a_whole_conversation_before_the_server_looks_is_served
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    int listener = open_listener(argc, argv);
    struct epoll_event event;

    epoll_fd = epoll_create1(0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) == -1)
            fail("epoll_wait");
        int fd = accept_or_wait(listener, 0);
        if (fd != -1)
            start_thread(fd, echo);
    }
}
