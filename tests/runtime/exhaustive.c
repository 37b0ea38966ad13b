/* exhaustive.c: the runtime against everything its kernel can do. See fake_kernel.h.
 *
 *   exhaustive N                     all scenarios, with N surprises more (or, -1, less)
 *   exhaustive N SCENARIO            one of them
 *   exhaustive N SCENARIO 0,2,0,1    one run of it, told step by step
 *
 * A run is decided by the answers to choose(). The first run answers 0 to all. Each next
 * one gives the same answers as the one before up to the last that could be greater by
 * one, and makes it so (depth first). When there is none, every run has been. A run that
 * goes wrong is run again from its answers, and told.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kernel.h"

static const struct scenario scenarios[] = {
    {"two-peers", .peers = 2, .bytes = 2, .room = 1, .surprises = 1},
    {"much-to-say", .peers = 1, .bytes = 6, .room = 2, .surprises = 2},
    {"little-room", .peers = 1, .bytes = 4, .room = 1, .surprises = 3},
    {"other-thread", .messages = 4, .surprises = 4, .wakes = 2},
    {"other-thread-and-peer", .peers = 1, .bytes = 2, .room = 2, .messages = 2,
     .surprises = 2, .cancels = 1},
    {"woken-for-nothing", .peers = 2, .bytes = 1, .room = 1, .surprises = 2, .wakes = 2},
    {"cancel", .peers = 2, .bytes = 2, .room = 1, .surprises = 1, .cancels = 1},
    {"join", .peers = 2, .bytes = 1, .room = 1, .surprises = 2, .cancels = 2,
     .joins = true},
    {"stop", .peers = 2, .bytes = 1, .room = 1, .surprises = 2, .cancels = 1, .stops = 1},
    {"limits", .peers = 1, .bytes = 2, .room = 1, .surprises = 2, .delays = 2,
     .limits = true},
    {"limits-and-cancel", .peers = 1, .bytes = 3, .room = 1, .surprises = 2, .delays = 1,
     .cancels = 1, .wakes = 1, .limits = true},
};

#define MOST_CHOICES 4096

static struct {
    int answer[MOST_CHOICES], count[MOST_CHOICES]; /* of `count` possible ones */
    int made, known;                               /* in this run; from the one before */
} choices;

static struct scenario scenario;
static char *surprises; /* so many more, as we were told */
static bool telling;

int choose(int count)
{
    if (choices.made == MOST_CHOICES)
        wrong("more than %d choices in a run", MOST_CHOICES);
    int i = choices.made++;
    if (i >= choices.known)
        choices.answer[i] = 0;
    choices.count[i] = count;
    return choices.answer[i] < count ? choices.answer[i] : 0;
}

/* ---- telling ----------------------------------------------------------------------- */

void tell(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (telling) {
        (void)vprintf(format, arguments);
        (void)printf("\n");
    }
    va_end(arguments);
}

/* Runs this very program again, with the answers of this run, to tell the story; or, if
 * that is what we do, ends. Also called in a signal handler, where much of this is not
 * allowed; but all is lost anyway. */
void wrong(const char *format, ...)
{
    static char text[MOST_CHOICES * 4], why[200];
    char program[] = "exhaustive", name[64];
    size_t length = 0;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    tell("WRONG: %s", why);
    for (int i = 0; i < choices.made && length < sizeof text; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%d",
                                   i == 0 ? "" : ",", choices.answer[i]);
    (void)snprintf(name, sizeof name, "%s", scenario.name);
    tell("Once more: exhaustive %s %s %s", surprises, name, text);
    (void)fflush(stdout);
    if (!telling)
        (void)execv("/proc/self/exe", (char *[]){program, surprises, name, text, NULL});
    _exit(EXIT_FAILURE);
}

static void on_crash(int number)
{
    wrong("it has crashed: %s", strsignal(number));
}

/* AddressSanitizer should end as assert() does. Leaks are counted by the fake kernel. */
const char *__asan_default_options(void)
{
    return "abort_on_error=1:detect_leaks=0";
}

/* ---- all runs of a scenario -------------------------------------------------------- */

/* Sets the answers of the next run. False: there is none. */
static bool next_run(void)
{
    int last = choices.made - 1;

    while (last >= 0 && choices.answer[last] == choices.count[last] - 1)
        last--;
    if (last < 0)
        return false;
    choices.answer[last]++;
    choices.known = last + 1;
    choices.made = 0;
    return true;
}

static void try_all(void)
{
    long runs = 0, calls = 0;

    choices.made = choices.known = 0;
    do {
        run(&scenario);
        runs++;
        calls += world.steps;
    } while (next_run());
    (void)printf("%-22s %8ld runs, %9ld system calls\n", scenario.name, runs, calls);
}

static void try_one(char *text)
{
    for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ","))
        choices.answer[choices.known++] = (int)strtol(word, NULL, 10);
    telling = true;
    run(&scenario);
    tell("and all is well.");
}

int main(int argc, char **argv)
{
    const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    const struct sigaction on_any = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};

    if (argc < 2)
        return 2;
    surprises = argv[1];
    for (int i = 0; i < 5; i++)
        (void)sigaction(crashes[i], &on_any, NULL);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        scenario = scenarios[i];
        scenario.surprises += (int)strtol(surprises, NULL, 10);
        if (argc > 2 && strcmp(argv[2], scenario.name) != 0)
            continue;
        if (argc > 3)
            try_one(argv[3]);
        else
            try_all();
    }
    return EXIT_SUCCESS;
}
