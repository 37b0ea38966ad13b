/* fake_libc.c: what the server needs beside sockets: clock, signals, memory, a log; and
 * its main(). See fake_kernel.h. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fake_kernel.h"

#define MAX_BLOCKS 256

static void *blocks[MAX_BLOCKS]; /* of memory that the server has */
static int block_count;
static void (*on_signal)(int);
static jmp_buf gave_up;

int server_main(int argc, char **argv); /* server.c's main() */

/* ---- clock and signals ------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
void (*__wrap_signal(int number, void (*handler)(int)))(int);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    now->tv_sec = world.clock / 1000;
    now->tv_nsec = world.clock % 1000 * 1000000;
    return 0;
}

void (*__wrap_signal(int number, void (*handler)(int)))(int)
{
    if (number == SIGINT && handler != SIG_DFL)
        on_signal = handler;
    return SIG_DFL;
}

void kernel_ctrl_c(void)
{
    on_signal(SIGINT);
}

/* ---- memory ------------------------------------------------------------------------ */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static bool no_memory(void)
{
    if (world.left.shortages == 0 || choose(2) == 0)
        return false;
    world.left.shortages--;
    world.excuses++;
    tell("malloc: no memory");
    return true;
}

static void *note_block(void *block)
{
    if (block == NULL || block_count == MAX_BLOCKS)
        wrong("the fake kernel has no memory");
    blocks[block_count++] = block;
    return block;
}

static void forget_block(const void *block)
{
    int i = block_count - 1;
    while (i >= 0 && blocks[i] != block)
        i--;
    if (i < 0)
        wrong("free of what is not there, or was freed before");
    blocks[i] = blocks[--block_count];
}

void *__wrap_malloc(size_t size)
{
    return no_memory() ? NULL : note_block(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : note_block(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (no_memory())
        return NULL;
    if (block != NULL)
        forget_block(block);
    return note_block(__real_realloc(block, size));
}

void __wrap_free(void *block)
{
    if (block == NULL)
        return;
    forget_block(block);
    __real_free(block);
}

/* ---- the server's words ------------------------------------------------------------ */

void __wrap_process_start(const char *program);
void __wrap_log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void __wrap_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void __wrap_process_start(const char *program)
{
    (void)program;
}

void __wrap_log_line(const char *format, ...)
{
    (void)format;
}

void __wrap_log_error(const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    tell("the server says: %s", line);
}

/* The server gives up, at its start or with its runtime closed. The process would end. */
_Noreturn void __wrap_fail(const char *format, ...)
{
    tell("the server gives up: %s", format);
    if (world.excuses == 0)
        wrong("the server gives up for no reason");
    longjmp(gave_up, 1);
}

/* ---- one run ----------------------------------------------------------------------- */

/* What a run has left that ended in the middle. */
static void free_blocks(void)
{
    while (block_count > 0)
        __real_free(blocks[--block_count]);
}

void run_server(const struct scenario *scenario)
{
    char name[] = "server", quiet[] = "--quiet", idle[] = "--idle-timeout", one[] = "1";
    char *argv[] = {name, quiet, idle, one, NULL};
    int argc = scenario->idle ? 4 : 2;

    world_begin(scenario);
    if (!scenario->idle)
        argv[2] = NULL;
    optind = 0; /* for getopt() all begins anew */
    free_blocks();
    if (setjmp(gave_up) != 0)
        return; /* a process that ends leaves nothing behind */
    if (server_main(argc, argv) != 0)
        wrong("the server's main() says that it failed");
    world_end();
    if (block_count > 0)
        wrong("%d blocks of memory are never freed", block_count);
}
