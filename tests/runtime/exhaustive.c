/* exhaustive.c: the server against everything its guests and its kernel can do.
 *
 *   exhaustive                     all scenarios below
 *   exhaustive SCENARIO            one of them
 *   exhaustive SCENARIO 0,2,0,1    one run of it, told step by step
 *   exhaustive -s N ...            the same with N surprises more in each run (or, -1,
 *                                  one less)
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

/* What each is about: see struct scenario. */
static const struct scenario scenarios[] = {
    {"two-guests", .guests = 2, .bytes = 2, .room = 2, .surprises = 1},
    {"three-guests", .guests = 3, .bytes = 1, .room = 1, .surprises = 0},
    {"much-to-say", .guests = 1, .bytes = 6, .room = 2, .surprises = 2},
    {"little-room", .guests = 1, .bytes = 4, .room = 1, .surprises = 3},
    {"faults", .guests = 1, .bytes = 3, .room = 2, .surprises = 2, .faults = 1},
    {"faults-for-two", .guests = 2, .bytes = 1, .room = 1, .surprises = 1, .faults = 1},
    {"reset", .guests = 1, .bytes = 4, .room = 2, .surprises = 2, .resets = 1},
    {"resets-of-two", .guests = 2, .bytes = 1, .room = 1, .surprises = 2, .resets = 2},
    {"no-memory", .guests = 2, .bytes = 2, .room = 1, .surprises = 1, .shortages = 1},
    {"ctrl-c", .guests = 1, .bytes = 3, .room = 1, .surprises = 2, .delays = 1,
     .ctrl_c = 1},
    {"ctrl-c-for-two", .guests = 2, .bytes = 1, .room = 1, .surprises = 1, .delays = 2,
     .resets = 1, .ctrl_c = 1},
    {"idle", .guests = 2, .bytes = 1, .room = 1, .surprises = 2, .delays = 2, .idle = 1},
};
#define SCENARIOS (int)(sizeof scenarios / sizeof *scenarios)

#define MOST_CHOICES 4096

static struct {
    int answer[MOST_CHOICES], count[MOST_CHOICES]; /* of `count` possible ones */
    int made, known;                               /* in this run; from the one before */
} choices;

static struct scenario scenario;
static char *program;      /* as it was called */
static char surprises[16]; /* -s: so many more */
static bool telling;
static int steps_told;

/* ---- what the fake kernel asks for ------------------------------------------------- */

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
static const char *answers_in_words(void)
{
    static char answers[MOST_CHOICES * 4] = "-";
    size_t length = 0;

    for (int i = 0; i < choices.made && length < sizeof answers; i++)
        length += (size_t)snprintf(answers + length, sizeof answers - length, "%s%d",
                                   i == 0 ? "" : ",", choices.answer[i]);
    return answers;
}

/* This very program again, with the answers that were given so far, to tell the story.
 * Called in signal handlers too, where snprintf() is not allowed; but all is lost
 * anyway. */
static _Noreturn void run_again_and_tell(void)
{
    static char name[64], option[] = "-s";
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)snprintf(name, sizeof name, "%s", scenario.name);
    char *answers = (char *)(uintptr_t)answers_in_words();
    (void)execv("/proc/self/exe",
                (char *[]){program, option, surprises, name, answers, NULL});
    _exit(EXIT_FAILURE);
}

static _Noreturn void end_of_story(void)
{
    (void)printf("Once more: %s -s %s %s %s\n", program, surprises, scenario.name,
                 answers_in_words());
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
    (void)printf("WRONG: the server has crashed: %s\n", strsignal(number));
    end_of_story();
}

/* AddressSanitizer should end as assert() does. Leaks are counted by the fake kernel. */
const char *__asan_default_options(void);
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
        run_server(&scenario);
        runs++;
        calls += world.steps;
        most = choices.made > most ? choices.made : most;
    } while (next_run());
    (void)printf("%-20s %8ld runs, %9ld system calls, at most %2d choices, %5.1f s\n",
                 scenario.name, runs, calls, most, seconds() - start);
}

static void try_one(const char *answers)
{
    while (*answers >= '0' && *answers <= '9' && choices.known < MOST_CHOICES) {
        char *end;
        choices.answer[choices.known++] = (int)strtol(answers, &end, 10);
        answers = *end == ',' ? end + 1 : end;
    }
    telling = true;
    (void)printf("In the scenario %s:\n", scenario.name);
    run_server(&scenario);
    (void)printf("and all is well.\n");
}

static void tell_of_crashes(void)
{
    const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (int i = 0; i < 5; i++) /* not signal(): that is the fake one */
        (void)sigaction(crashes[i], &(struct sigaction){.sa_handler = on_crash}, NULL);
}

int main(int argc, char **argv)
{
    bool more = argc > 2 && strcmp(argv[1], "-s") == 0;
    const char *name = argc > 1 + 2 * more ? argv[1 + 2 * more] : NULL;
    const char *answers = argc > 2 + 2 * more ? argv[2 + 2 * more] : NULL;
    bool found = false;

    program = argv[0];
    (void)snprintf(surprises, sizeof surprises, "%s", more ? argv[2] : "0");
    tell_of_crashes();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < SCENARIOS; i++) {
        if (name != NULL && strcmp(name, scenarios[i].name) != 0)
            continue;
        found = true;
        scenario = scenarios[i];
        scenario.surprises += (int)strtol(surprises, NULL, 10);
        if (answers != NULL)
            try_one(answers);
        else
            try_all();
    }
    if (!found)
        (void)fprintf(stderr, "there is no scenario %s\n", name);
    return found ? EXIT_SUCCESS : 2;
}
