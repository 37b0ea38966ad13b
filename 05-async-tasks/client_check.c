/* client_check.c: what every client checks and tells. See client_check.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_check.h"
#include "process.h"
#include "sockets.h"

bool fault_say(struct fault *fault, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, arguments); /* cut is fine */
    va_end(arguments);
    return false;
}

bool echo_is_right(const void *sent, const void *echo, size_t length, size_t offset,
                   struct fault *fault)
{
    const unsigned char *want = sent, *got = echo;
    size_t same = 0;

    if (memcmp(want, got, length) == 0)
        return true;
    while (want[same] == got[same])
        same++;
    return fault_say(fault, "wrong byte at offset %zu: sent 0x%02x, received 0x%02x",
                     offset + same, want[same], got[same]);
}

bool fault_io(struct fault *fault, const char *call, int error, size_t offset)
{
    if (error == EAGAIN)
        return fault_say(fault, "no progress for %d seconds after %zu bytes of echo",
                         PATIENCE, offset);
    return fault_say(fault, "%s after %zu bytes of echo: %s", call, offset,
                     strerror(error));
}

bool fault_early_end(struct fault *fault, size_t offset, size_t length)
{
    return fault_say(fault, "the server closed the connection after %zu of %zu bytes",
                     offset, length);
}

bool fault_extra_byte(struct fault *fault, size_t offset)
{
    return fault_say(fault, "more came back than was sent: extra byte at offset %zu",
                     offset);
}

void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vprintf(format, arguments);
    va_end(arguments);
    if (length < 0 || fflush(stdout) != 0)
        fail("stdout: %s", strerror(errno));
}

void print_bytes(const void *bytes, size_t length)
{
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout) != 0)
        fail("stdout: %s", strerror(errno));
}

char *crowd_message(const struct client_options *options, long guest, long round)
{
    char *message;
    int length = asprintf(&message, "guest %ld, round %ld: %s", guest, round,
                          options->message);
    if (length == -1)
        fail("no memory for a message");
    return message;
}

void report_start(struct report *report, long guests)
{
    *report = (struct report){.guests = guests};
    (void)clock_gettime(CLOCK_MONOTONIC, &report->start); /* this clock always exists */
}

void report_guest(struct report *report, long guest, long echoes,
                  const struct fault *fault)
{
    report->echoes += echoes;
    if (fault == NULL)
        return;
    if (report->errors++ == 0)
        log_error("client: guest %ld: %s", guest, fault->text);
}

int report_finish(const struct report *report)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - report->start.tv_sec) +
                     (double)(now.tv_nsec - report->start.tv_nsec) / 1e9;
    print("%ld guests, %ld echoes, %ld errors, %.2f s\n", report->guests, report->echoes,
          report->errors, seconds);
    return report->errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
