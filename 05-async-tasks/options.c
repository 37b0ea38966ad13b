/* options.c: the command line, read with getopt_long(3). See options.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define MAX_ROWS 8

static const char *program, *operands_shown;
static const struct option_row *table;

/* (void), here and below: when stderr cannot be written there is nowhere to say so; for
 * stdout print_help() asks at the end. */
static void print_usage(FILE *out)
{
    (void)fprintf(out, "Usage: %s", program);
    for (const struct option_row *row = table; row->name != NULL; row++)
        (void)fprintf(out, row->argument ? " [--%s %s]" : " [--%s]", row->name,
                      row->argument);
    (void)fprintf(out, "%s%s\n", *operands_shown ? " " : "", operands_shown);
    for (const struct option_row *row = table; row->name != NULL; row++) {
        int width =
            fprintf(out, "  --%s %s", row->name, row->argument ? row->argument : "");
        (void)fprintf(out, "%*s%s\n", width < 26 ? 26 - width : 1, "", row->help);
    }
}

void options_reject(const char *format, ...)
{
    va_list arguments;
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    print_usage(stderr);
    exit(2);
}

/* atoi() would take "80x", " 80" and "" for numbers; strtol() tells where it stopped. */
static long read_number(const struct option_row *row, const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        number < row->least || number > row->most)
        options_reject("--%s wants a number from %ld to %ld, not '%s'", row->name,
                       row->least, row->most, text);
    return number;
}

static void take(const struct option_row *row, const char *value)
{
    if (row->flag != NULL)
        *row->flag = true;
    else if (row->number != NULL)
        *row->number = read_number(row, value);
    else
        *row->text = value;
}

static _Noreturn void print_help(void)
{
    print_usage(stdout);
    exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

const char *options_read(int argc, char **argv, const struct option_row *rows,
                         const char *operands)
{
    struct option list[MAX_ROWS + 2] = {{0}}; /* the rows, --help, and a row of zeros */
    int count = 0, found, index = 0;

    program = argv[0] != NULL ? argv[0] : "program";
    operands_shown = operands;
    table = rows;
    for (; count < MAX_ROWS && rows[count].name != NULL; count++)
        list[count] = (struct option){
            rows[count].name, rows[count].argument ? required_argument : no_argument,
            NULL, 0};
    list[count] = (struct option){"help", no_argument, NULL, 'h'};
    opterr = 0; /* we say it in our own words */
    while ((found = getopt_long(argc, argv, ":", list, &index)) != -1) {
        if (found == 'h')
            print_help();
        if (found == ':')
            options_reject("%s wants a value", argv[optind - 1]);
        if (found == '?' && optopt != 0)
            options_reject("there is no option '-%c': they all have two dashes", optopt);
        if (found == '?')
            options_reject("there is no option '%s'", argv[optind - 1]);
        take(&rows[index], optarg);
    }
    if (argc - optind > (*operands ? 1 : 0))
        options_reject("did not expect '%s'", argv[argc - 1]);
    return optind < argc ? argv[optind] : NULL;
}

struct server_options server_options(int argc, char **argv)
{
    struct server_options options = {.host = "127.0.0.1", .port = 8080};
    const struct option_row rows[] = {
        {"host", "ADDRESS", "where to listen (127.0.0.1)", .text = &options.host},
        {"port", "PORT", "0 lets the kernel choose (8080)", .number = &options.port,
         .most = 65535},
        {"quiet", NULL, "say nothing about guests", .flag = &options.quiet},
        {0},
    };
    (void)options_read(argc, argv, rows, ""); /* there is no operand */
    return options;
}

struct client_options client_options(int argc, char **argv)
{
    struct client_options options = {.host = "127.0.0.1", .port = 8080};
    const struct option_row rows[] = {
        {"host", "ADDRESS", "where the server is (127.0.0.1)", .text = &options.host},
        {"port", "PORT", "and its port (8080)", .number = &options.port, .least = 1,
         .most = 65535},
        {"guests", "N", "come with N guests, check every echo", .number = &options.guests,
         .least = 1, .most = 1000000},
        {"rounds", "R", "messages from each guest (1)", .number = &options.rounds,
         .least = 1, .most = 1000000000},
        {0},
    };
    const char *message = options_read(argc, argv, rows, "[MESSAGE | -]");
    options.message = message != NULL ? message : "Hello, Tokio!";
    if (options.guests != 0 || options.rounds != 0) {
        if (strcmp(options.message, "-") == 0)
            options_reject("--guests and --rounds send a message; '-' has none");
        options.guests = options.guests != 0 ? options.guests : 1;
        options.rounds = options.rounds != 0 ? options.rounds : 1;
    }
    return options;
}
