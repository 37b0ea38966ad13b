/* unit.c: the runner of the unit tests, and their helpers. See unit.h.
 *
 *   unit --list    the names
 *   unit NAME      that test, in this process
 *   unit           all, each in a process of its own
 */
#define _GNU_SOURCE
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TESTS 200
#define PATIENCE_SECONDS 20 /* a test that hangs is ended by SIGALRM */

static struct {
    const char *name;
    void (*test)(void);
} tests[MAX_TESTS];
static int test_count;

void add_test(const char *name, void (*test)(void))
{
    assert(test_count < MAX_TESTS);
    tests[test_count].name = name;
    tests[test_count++].test = test;
}

/* ---- memory ------------------------------------------------------------------------ */

int allocations_left = -1;
static int blocks;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static bool runs_out(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    if (runs_out())
        return NULL;
    blocks++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (runs_out())
        return NULL;
    blocks++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    if (runs_out())
        return NULL;
    blocks += block == NULL;
    return __real_realloc(block, size);
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

/* ---- futures ----------------------------------------------------------------------- */

/* Gives back what it holds, once: at its end or, dropped, before. */
static void probe_drop(struct future *future)
{
    struct probe *self = (struct probe *)future;
    assert(!self->over);
    self->over = true;
    self->counts->drops++;
    if (self->counts->on_drop != NULL)
        self->counts->on_drop();
}

static struct poll probe_poll(struct future *future, struct waker *waker)
{
    struct counts *counts = ((struct probe *)future)->counts;
    struct poll answer = PENDING;

    counts->polls++;
    counts->waker = waker;
    if (counts->on_poll != NULL)
        answer = counts->on_poll(counts, waker);
    if (answer.ready)
        probe_drop(future);
    return answer;
}

struct probe probe(struct counts *counts)
{
    static const struct future_kind kind = {probe_poll, probe_drop};
    return (struct probe){.future = {&kind}, .counts = counts};
}

struct poll ready_at_once(struct counts *counts, struct waker *waker)
{
    (void)counts;
    (void)waker;
    return READY(7);
}

static struct poll stage_poll(struct future *future, struct waker *waker)
{
    struct stage *self = (struct stage *)future;
    if (self->counts != NULL) {
        self->counts->polls++;
        self->counts->waker = waker;
    }
    return self->body(future, waker);
}

static void stage_drop(struct future *future)
{
    struct stage *self = (struct stage *)future;
    if (self->counts != NULL)
        self->counts->drops++;
    frame_drop(&self->frame);
}

struct stage stage(struct poll (*body)(struct future *, struct waker *),
                   struct counts *counts)
{
    static const struct future_kind kind = {stage_poll, stage_drop};
    return (struct stage){.future = {&kind}, .body = body, .counts = counts};
}

long run(struct poll (*body)(struct future *, struct waker *))
{
    struct stage root = stage(body, NULL);
    return block_on(root);
}

struct join start(struct poll (*body)(struct future *, struct waker *),
                  struct counts *counts)
{
    struct stage root = stage(body, counts);
    return spawn(root);
}

struct join start_probe(struct counts *counts)
{
    struct probe root = probe(counts);
    return spawn(root);
}

/* ---- sockets and time -------------------------------------------------------------- */

struct tcp_stream open_stream(int *other)
{
    struct tcp_stream stream;
    int pair[2];
    int opened = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    assert(opened == 0);
    int error = socket_set_blocking(pair[0], false);
    assert(error == 0);
    error = reactor_add(pair[0], 0, &stream.bell);
    assert(error == 0);
    *other = pair[1];
    return stream;
}

int open_door(struct address *here)
{
    return socket_listen("127.0.0.1", 0, SOCK_NONBLOCK, here);
}

int visit(const struct address *here)
{
    int guest = socket_connect_to(here);
    assert(guest >= 0);
    return guest;
}

int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the runner -------------------------------------------------------------------- */

static int run_here(int number)
{
    (void)alarm(PATIENCE_SECONDS);
    tests[number].test();
    if (blocks != 0)
        (void)fprintf(stderr, "%s: %d blocks of the runtime's memory are not freed\n",
                      tests[number].name, blocks);
    return blocks != 0;
}

static bool run_apart(int number)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        exit(run_here(number));
    (void)waitpid(child, &status, 0);
    (void)printf("%-50s %s\n", tests[number].name, status == 0 ? "ok" : "WRONG");
    return status == 0;
}

int main(int argc, char **argv)
{
    bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
    bool well = true;

    for (int i = 0; i < test_count; i++) {
        if (list)
            (void)printf("%s\n", tests[i].name);
        else if (argc == 1)
            well = run_apart(i) && well;
        else if (strcmp(argv[1], tests[i].name) == 0)
            return run_here(i);
    }
    if (argc == 2 && !list)
        (void)fprintf(stderr, "there is no test %s\n", argv[1]);
    return well && (argc == 1 || list) ? EXIT_SUCCESS : EXIT_FAILURE;
}
