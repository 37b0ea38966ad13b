/* exhaustive.c: the runtime against everything its kernel can do. See fake_kernel.h.
 *
 *   exhaustive                     all scenarios below
 *   exhaustive SCENARIO            one of them
 *   exhaustive SCENARIO 0,2,0,1    one run of it, told step by step
 *   exhaustive -s N ...            with N surprises more in each run (or, -1, one less)
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
#include <time.h>
#include <unistd.h>

#include "fake_kernel.h"

static const struct scenario scenarios[] = {
    {"two-peers", .peers = 2, .bytes = 2, .room = 1, .surprises = 1},
    {"accept", .peers = 2, .bytes = 1, .room = 1, .surprises = 1, .accepts = true},
    {"much-to-say", .peers = 1, .bytes = 6, .room = 2, .surprises = 2},
    {"little-room", .peers = 1, .bytes = 4, .room = 1, .surprises = 2, .faults = 1},
    {"reset", .peers = 2, .bytes = 1, .room = 1, .surprises = 1, .resets = 1},
    {"other-thread", .peers = 0, .messages = 4, .surprises = 4, .wakes = 2},
    {"other-thread-and-peer", .peers = 1, .bytes = 2, .room = 2, .messages = 2,
     .surprises = 2},
    {"woken-for-nothing", .peers = 2, .bytes = 1, .room = 1, .surprises = 2, .wakes = 2},
    {"cancel", .peers = 2, .bytes = 2, .room = 1, .surprises = 1, .cancels = 1},
    {"cancel-other-thread", .peers = 1, .bytes = 1, .room = 1, .messages = 2,
     .surprises = 2, .cancels = 2},
    {"join", .peers = 2, .bytes = 1, .room = 1, .surprises = 1, .cancels = 1,
     .joins = true},
    {"notify", .peers = 2, .bytes = 1, .room = 1, .surprises = 1, .cancels = 1,
     .notices = true},
    {"limits", .peers = 1, .bytes = 2, .room = 1, .surprises = 2, .delays = 2,
     .limits = true},
    {"limits-and-cancel", .peers = 1, .bytes = 2, .room = 1, .surprises = 2, .delays = 1,
     .cancels = 1, .wakes = 1, .limits = true},
};
#define SCENARIOS (int)(sizeof scenarios / sizeof *scenarios)

#define MOST_CHOICES 4096

static struct {
    int answer[MOST_CHOICES], count[MOST_CHOICES]; /* of `count` possible ones */
    int made, known;                               /* in this run; from the one before */
} choices;

static struct scenario scenario;
static char surprises[16]; /* -s: so many more */
static bool telling;
static int steps_told;

int choose(int count)
{
    int i = choices.made++;

    if (i == MOST_CHOICES)
        wrong("more than %d choices in a run", MOST_CHOICES);
    if (i >= choices.known)
        choices.answer[i] = 0;
    choices.count[i] = count;
    return choices.answer[i] < count ? choices.answer[i] : 0;
}

/* ---- telling ----------------------------------------------------------------------------- */

void tell(const char *format, ...)
{
    va_list arguments;

    if (!telling)
        return;
    va_start(arguments, format);
    (void)printf("%4d. ", ++steps_told);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
}

/* The answers of this run: "0,2,0,1", or "-" when nothing was asked. */
static char *answers(void)
{
    static char text[MOST_CHOICES * 4] = "-";
    size_t length = 0;

    for (int i = 0; i < choices.made && length < sizeof text; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%d",
                                   i == 0 ? "" : ",", choices.answer[i]);
    return text;
}

/* This very program again, with the same answers, to tell the story. Also called in a
 * signal handler, where snprintf() is not allowed; but all is lost anyway. */
static _Noreturn void run_again_and_tell(void)
{
    char name[] = "exhaustive", option[] = "-s", which[64];
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)snprintf(which, sizeof which, "%s", scenario.name);
    (void)execv("/proc/self/exe",
                (char *[]){name, option, surprises, which, answers(), NULL});
    _exit(EXIT_FAILURE);
}

static _Noreturn void end_of_story(void)
{
    (void)printf("Once more: exhaustive -s %s %s %s\n", surprises, scenario.name,
                 answers());
    (void)fflush(stdout);
    _exit(EXIT_FAILURE);
}

void wrong(const char *format, ...)
{
    va_list arguments;

    if (!telling)
        run_again_and_tell();
    va_start(arguments, format);
    (void)printf("WRONG: ");
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
    end_of_story();
}

static void on_crash(int number)
{
    if (!telling)
        run_again_and_tell();
    (void)printf("WRONG: it has crashed: %s\n", strsignal(number));
    end_of_story();
}

/* AddressSanitizer should end as assert() does. Leaks are counted by the fake kernel. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:detect_leaks=0";
}

/* ---- all runs of a scenario -------------------------------------------------------------- */

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

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void try_all(void)
{
    double start = seconds();
    long runs = 0, calls = 0;
    int most = 0;

    choices.made = choices.known = 0;
    do {
        run(&scenario);
        runs++;
        calls += world.steps;
        most = choices.made > most ? choices.made : most;
    } while (next_run());
    (void)printf("%-22s %8ld runs, %9ld system calls, at most %2d choices, %5.1f s\n",
                 scenario.name, runs, calls, most, seconds() - start);
}

static void try_one(const char *text)
{
    while (*text >= '0' && *text <= '9' && choices.known < MOST_CHOICES) {
        char *end;
        choices.answer[choices.known++] = (int)strtol(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    telling = true;
    (void)printf("In the scenario %s:\n", scenario.name);
    run(&scenario);
    (void)printf("and all is well.\n");
}

int main(int argc, char **argv)
{
    const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    bool more = argc > 2 && strcmp(argv[1], "-s") == 0;
    char **operands = argv + 1 + 2 * more;
    bool found = false;

    (void)snprintf(surprises, sizeof surprises, "%s", more ? argv[2] : "0");
    for (int i = 0; i < 5; i++)
        (void)signal(crashes[i], on_crash);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < SCENARIOS; i++) {
        if (operands[0] != NULL && strcmp(operands[0], scenarios[i].name) != 0)
            continue;
        found = true;
        scenario = scenarios[i];
        scenario.surprises += (int)strtol(surprises, NULL, 10);
        if (operands[0] != NULL && operands[1] != NULL)
            try_one(operands[1]);
        else
            try_all();
    }
    if (!found)
        (void)fprintf(stderr, "there is no scenario %s\n", operands[0]);
    return found ? EXIT_SUCCESS : 2;
}
