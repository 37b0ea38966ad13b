/* client_check.h: what every client checks and tells, whatever its technique.
 *
 * The same file stands in every chapter.
 */
#ifndef CLIENT_CHECK_H
#define CLIENT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "options.h"

/* What went wrong, in one line for the reader. */
struct fault {
    char text[160];
};

/* Writes the line. Returns false: a check can end with `return fault_say(...)`. */
bool fault_say(struct fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Compares an echo with what was sent, byte for byte. `offset` is where the two begin,
 * for the line that names the first wrong byte. */
bool echo_is_right(const void *sent, const void *echo, size_t length, size_t offset,
                   struct fault *fault);

/* The other ways in which an echo can fail. All return false. `error` is an errno; EAGAIN
 * means that PATIENCE is at its end. */
bool fault_io(struct fault *fault, const char *call, int error, size_t offset);
bool fault_early_end(struct fault *fault, size_t offset, size_t length);
bool fault_extra_byte(struct fault *fault, size_t offset);

/* printf() to stdout, flushed at once; ends the process when stdout cannot be written. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes all of it to stdout; ends the process when that cannot be done. */
void print_bytes(const void *bytes, size_t length);

/* One round's message of one guest: no two are alike, so that crossed echoes show.
 * Returns a string to free(); ends the process when there is no memory. */
char *crowd_message(const struct client_options *options, long guest, long round);

/* What a crowd has seen so far. */
struct report {
    long guests, echoes, errors;
    struct timespec start;
};
void report_start(struct report *report, long guests);

/* Counts one guest's right echoes; fault is NULL when he left content. The first fault is
 * told on stderr, the others are only counted. */
void report_guest(struct report *report, long guest, long echoes,
                  const struct fault *fault);

/* Prints "1000 guests, 10000 echoes, 0 errors, 0.41 s". Returns the exit status. */
int report_finish(const struct report *report);

#endif
