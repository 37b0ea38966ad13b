/* process.h: what a well-behaved process does beside its lesson: start, log, fail.
 *
 * The same file stands in every chapter.
 */
#ifndef PROCESS_H
#define PROCESS_H

/* Call it first. Names the program for fail(); makes SIGPIPE an ordinary EPIPE, so that a
 * guest who has gone cannot end the process; keeps the numbers 0, 1 and 2 away from
 * sockets when the shell has closed them; raises the soft limit of descriptors to the
 * hard one. `program` must live as long as the process. Cannot fail: each step has a next
 * best. */
void process_start(const char *program);

/* Writes one line to stdout, at once, newline added, cut at 512 bytes. Never waits: where
 * the log is full, closed or stopped, the line is lost and the guests are served.
 * May be called from any thread. Changes errno. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same on stderr. Take errno's text before you call: log_error("... %s",
 * strerror(e)). */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says "program: message" on stderr and ends the process with exit status 1.
 * In a server only before the first guest; afterwards nothing is worth ending for. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
