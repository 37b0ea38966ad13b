/* fuzz.c: the same server, guests and kernel as in exhaustive.c; but libFuzzer decides,
 * so that runs can be long: four guests, 24 bytes each, and whatever can happen to them.
 *
 *   fuzz -max_total_time=60          looks for a run that goes wrong
 *   TELL=1 fuzz crash-0123456789     tells it, step by step
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake_kernel.h"

static const unsigned char *answers; /* what libFuzzer has made up: an answer a byte */
static size_t answers_left;
static bool telling;

int choose(int count)
{
    if (answers_left == 0)
        return 0;
    answers_left--;
    return *answers++ % count;
}

static void say(const char *before, const char *format, va_list arguments)
{
    (void)fputs(before, stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\n", stderr);
}

void tell(const char *format, ...)
{
    va_list arguments;

    if (!telling)
        return;
    va_start(arguments, format);
    say("  ", format, arguments);
    va_end(arguments);
}

void wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("WRONG: ", format, arguments);
    va_end(arguments);
    abort();
}

/* With resets or a shortage less is owed; so some runs have none. */
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size)
{
    struct scenario scenario = {"fuzz", .bytes = 24, .surprises = 40, .faults = 8,
                                .delays = 4};

    telling = getenv("TELL") != NULL;
    answers = bytes;
    answers_left = size;
    scenario.guests = 1 + choose(4);
    scenario.room = 1 + choose(4);
    scenario.resets = choose(3);
    scenario.shortages = choose(2);
    scenario.ctrl_c = choose(2);
    scenario.idle = choose(2);
    run_server(&scenario);
    return 0;
}
