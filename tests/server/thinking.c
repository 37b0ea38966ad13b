/* thinking.c: for LD_PRELOAD. A recv() that has received "think" never returns: the thread
 * that called it computes for ever. It is how a test sees who is held up by that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t think_about(const void *buffer, ssize_t length)
{
    volatile int thinking = length >= 5 && memcmp(buffer, "think", 5) == 0;

    while (thinking)
        continue;
    return length;
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    return think_about(buffer, recvfrom(fd, buffer, size, flags, NULL, NULL));
}

ssize_t read(int fd, void *buffer, size_t size)
{
    ssize_t (*real)(int, void *, size_t);

    *(void **)&real = dlsym(RTLD_NEXT, "read");
    return think_about(buffer, real(fd, buffer, size));
}
