/* process.c: start, log, fail. See process.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process.h"

#define LINE_SIZE 512 /* below PIPE_BUF: a line goes into a pipe whole or not at all */

static const char *program_name = "program";

/* `./server >&-` starts us without a descriptor 1; the next socket would become 1, and
 * the log would be sent to a guest. We fill the gap with one that cannot be used either:
 * read and write fail on it just as they do on a closed one. */
static void keep_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
            /* takes the lowest: fd */
            (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* without it: fewer guests at once */
    }
}

void process_start(const char *program)
{
    program_name = program;
    /* Our log may be a pipe whose reader has left. (Sockets have MSG_NOSIGNAL for that.)
     * signal() fails for unknown signals only. */
    (void)signal(SIGPIPE, SIG_IGN);
    keep_standard_descriptors();
    raise_descriptor_limit();
}

/* poll() tells whether a write would wait. A second thread could fill the pipe between
 * the answer and the write: hence the lock. (Another process with the same pipe still
 * could.) */
static void write_if_room(int fd, const char *line, size_t length)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd log = {.fd = fd, .events = POLLOUT};
    int ready;

    /* a plain mutex, never locked twice: no error */
    (void)pthread_mutex_lock(&one_at_a_time);
    do
        ready = poll(&log, 1, 0);
    while (ready == -1 && errno == EINTR);
    if (ready == 1 && (log.revents & POLLOUT))
        while (write(fd, line, length) == -1 && errno == EINTR)
            continue;
    (void)pthread_mutex_unlock(&one_at_a_time);
}

__attribute__((format(printf, 3, 0)))
static void write_line(int fd, const char *prefix, const char *format, va_list arguments)
{
    char line[LINE_SIZE];
    int start = snprintf(line, sizeof line, "%s", prefix);
    int length = vsnprintf(line + start, sizeof line - (size_t)start, format, arguments);
    if (length < 0)
        return; /* the format could not be printed: there is no line */
    size_t end = (size_t)start + (size_t)length;
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    line[end] = '\n';
    write_if_room(fd, line, end + 1);
}

void log_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(STDOUT_FILENO, "", format, arguments);
    va_end(arguments);
}

void log_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(STDERR_FILENO, "", format, arguments);
    va_end(arguments);
}

void fail(const char *format, ...)
{
    char prefix[32];
    va_list arguments;
    (void)snprintf(prefix, sizeof prefix, "%s: ", program_name); /* short by choice */
    va_start(arguments, format);
    write_line(STDERR_FILENO, prefix, format, arguments);
    va_end(arguments);
    exit(EXIT_FAILURE);
}
