/* flooded.c: for LD_PRELOAD. Once it has received "flood", every recv() fills its buffer,
 * as if the peer were always faster than the server. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    static int flooded;
    ssize_t length = recvfrom(fd, buffer, size, flags, NULL, NULL);

    if (length == 5 && memcmp(buffer, "flood", 5) == 0)
        flooded = 1;
    return flooded ? (ssize_t)size : length;
}
