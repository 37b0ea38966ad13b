/* failing_accept.c: for LD_PRELOAD. When guests come, the first calls of accept() fail
 * with the errors whose numbers stand in FAILING_ACCEPT, "103 71", one after the other;
 * from then on it works. The guests stay at the door, as when descriptors run out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

typedef int accept4_function(int, struct sockaddr *, socklen_t *, int);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int next_error(void)
{
    static char *errors;

    pthread_mutex_lock(&lock);
    if (errors == NULL)
        errors = getenv("FAILING_ACCEPT");
    long error = errors != NULL ? strtol(errors, &errors, 10) : 0;
    pthread_mutex_unlock(&lock);
    return (int)error;
}

/* Waits as accept() itself would, which does not wait at a door that is non-blocking. */
static int somebody_is_at(int door)
{
    struct pollfd knock = {.fd = door, .events = POLLIN};
    int patience = fcntl(door, F_GETFL) & O_NONBLOCK ? 0 : -1;

    return poll(&knock, 1, patience) == 1;
}

int accept4(int door, struct sockaddr *who, socklen_t *size, int flags)
{
    int error = somebody_is_at(door) ? next_error() : 0;

    if (error != 0) {
        errno = error;
        return -1;
    }
    accept4_function *really;
    *(void **)&really = dlsym(RTLD_NEXT, "accept4");
    return really(door, who, size, flags);
}

int accept(int door, struct sockaddr *who, socklen_t *size)
{
    return accept4(door, who, size, 0);
}
