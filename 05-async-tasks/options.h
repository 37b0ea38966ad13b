/* options.h: the command line, the same in every chapter.
 *
 * Good arguments come back as a struct; --help prints the usage and ends with status 0;
 * anything else says what is wrong, prints the usage on stderr and ends with status 2.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

struct server_options {
    const char *host; /* --host, default 127.0.0.1: nobody else's machine can reach us */
    long port;        /* --port, 0 to 65535, default 8080; 0: the kernel chooses */
    bool quiet;       /* --quiet: no lines about guests */
};

/* The server's command line. The texts in it are those of argv. */
struct server_options server_options(int argc, char **argv);

struct client_options {
    const char *host;    /* --host */
    long port;           /* --port, 1 to 65535 */
    long guests;         /* --guests: that many at once; 0 when not given */
    long rounds;         /* --rounds: messages a guest */
    const char *message; /* what to say; "-": whatever comes on stdin */
};

/* The client's command line. The texts in it are those of argv. */
struct client_options client_options(int argc, char **argv);

/* What stands behind the two. One row an option; exactly one of text, number and flag
 * says where its value goes. The table ends with a row without a name. */
struct option_row {
    const char *name;     /* without the dashes */
    const char *argument; /* as the usage shows it; NULL for a flag */
    const char *help;
    const char **text;
    long *number;
    long least, most; /* a number's range, ends included */
    bool *flag;
};

/* Reads argv by the rows. `operands` is what the usage shows after the options, "" for
 * none. Returns the operand, or NULL where there is none. */
const char *options_read(int argc, char **argv, const struct option_row *rows,
                         const char *operands);

/* Says "program: message", then the usage, on stderr; ends the process with status 2.
 * Only after options_read(). */
_Noreturn void options_reject(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
