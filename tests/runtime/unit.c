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
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_TESTS 250
#define LIMIT_SECONDS 60 /* a test that hangs is ended by SIGALRM */

static struct unit {
    const char *name, *rule;
    void (*run)(void);
} units[MOST_TESTS];
static int unit_count;

void add_unit(const char *name, const char *rule, void (*run)(void))
{
    check(unit_count < MOST_TESTS);
    units[unit_count++] = (struct unit){name, rule, run};
}

const char *about = "";

_Noreturn void failed(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "%s:%d: not true%s%s: %s\n", file, line,
                  about[0] == '\0' ? "" : " of ", about, condition);
    _exit(EXIT_FAILURE);
}

/* ---- memory that can run out ------------------------------------------------------- */

int allocations_left = -1;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

static bool runs_out(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return runs_out() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return runs_out() ? NULL : __real_realloc(block, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return runs_out() ? (void *)-1 : __real_mmap(at, size, protection, flags, fd, offset);
}

/* ---- a clock that can be moved ----------------------------------------------------- */

static int64_t passed_ms;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = __real_clock_gettime(clock, now);
    now->tv_sec += passed_ms / 1000;
    now->tv_nsec += passed_ms % 1000 * 1000000;
    return result;
}

void pass(int64_t ms)
{
    passed_ms += ms;
}

/* ---- tasks ---------------------------------------------------------------- */

long join(struct join *handle)
{
    return block_on(&handle->future);
}

void cancel(struct join *handle)
{
    task_cancel(handle);
    future_drop(&handle->future);
}

void turn(void)
{
    (void)await(yield, yield_now());
}

static long probe_poll(struct future *future, struct waker *waker)
{
    struct counts *counts = ((struct probe *)future)->counts;

    counts->polls++;
    counts->waker = waker;
    return counts->on_poll == NULL ? PENDING : counts->on_poll(counts, waker);
}

static void probe_drop(struct future *future)
{
    struct probe *self = (struct probe *)future;

    check(!self->dropped);
    self->dropped = true;
    self->counts->drops++;
    if (self->counts->on_drop != NULL)
        self->counts->on_drop(self->counts);
}

struct probe probe(struct counts *counts)
{
    static const struct future_vtable vtable = {probe_poll, probe_drop};
    return (struct probe){.future = {&vtable}, .counts = counts};
}

long ready(struct counts *counts, struct waker *waker)
{
    (void)counts, (void)waker;
    return 7;
}

void wake(struct counts *counts)
{
    counts->waker->wake(counts->waker);
}

static void ring(struct waker *waker)
{
    ((struct bell *)waker)->rung++;
}

struct bell bell(void)
{
    return (struct bell){.waker = {ring}};
}

/* ---- sockets ----------------------------------------------------------------------- */

void pair_open(struct pair *pair)
{
    int both[2];

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, both) == 0);
    pair->other = both[1];
    pair->stream = tcp_stream_from(both[0]);
    check(tcp_stream_register(&pair->stream) == 0);
}

void pair_open_tcp(struct pair *pair)
{
    struct tcp_listener listener;
    struct address here, peer;

    tcp_listen(&listener, "127.0.0.1", 0, &here);
    pair->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(connect(pair->other, &here.any, sizeof here.v4) == 0);
    long fd = await(tcp_accept, tcp_accept(&listener, &peer));
    check(fd >= 0);
    pair->stream = tcp_stream_from((int)fd);
    check(tcp_stream_register(&pair->stream) == 0);
    tcp_listener_close(&listener);
}

void pair_close(struct pair *pair)
{
    tcp_stream_close(&pair->stream);
    (void)close(pair->other);
}

void pair_fill(struct pair *pair)
{
    static const char much[64 * 1024];
    while (send(pair->stream.source.fd, much, sizeof much, MSG_DONTWAIT) > 0)
        continue;
    turn();
}

long say(struct pair *pair, const char *text)
{
    return send(pair->other, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

long hear(struct pair *pair)
{
    static char much[64 * 1024];
    long all = 0;

    for (long some; (some = recv(pair->other, much, sizeof much, MSG_DONTWAIT)) > 0;)
        all += some;
    return all;
}

/* ---- the runner -------------------------------------------------------------------- */

static int run_here(const struct unit *unit)
{
    (void)alarm(LIMIT_SECONDS);
    check(runtime_open() == 0);
    coop_budget = COOP_BUDGET;
    unit->run();
    runtime_close();
    return EXIT_SUCCESS;
}

/* The status of a child that runs this test; what it says to stderr is kept in `said`. */
static int run_apart(const struct unit *unit, char *said, size_t size)
{
    int ends[2], status;
    size_t length = 0;

    (void)fflush(NULL);
    check(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        exit(run_here(unit));
    }
    (void)close(ends[1]);
    for (ssize_t some = 1; some > 0 && length < size - 1; length += (size_t)some)
        some = read(ends[0], said + length, size - 1 - length);
    said[length] = '\0';
    (void)close(ends[0]);
    check(waitpid(child, &status, 0) == child);
    return status;
}

static bool runs_well(const struct unit *unit)
{
    static char said[8192];
    int status = run_apart(unit, said, sizeof said);
    bool well = status == 0;

    if (unit->rule != NULL)
        well = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
               strstr(said, unit->rule) != NULL;
    if (!well && unit->rule != NULL)
        (void)fprintf(stderr, "It should have aborted with \"%s\".\n", unit->rule);
    if (!well)
        (void)fprintf(stderr, "%s\n(status %d, signal %d)\n", said,
                      WEXITSTATUS(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return well;
}

int main(int argc, char **argv)
{
    bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
    int tried = 0, wrong = 0;

    for (int i = 0; i < unit_count; i++) {
        if (argc == 2 && !list && strcmp(argv[1], units[i].name) != 0)
            continue;
        tried++;
        bool well = list || runs_well(&units[i]);
        wrong += !well;
        (void)printf("%s%s\n", units[i].name, list ? "" : well ? " ok" : " WRONG");
    }
    if (tried == 0)
        (void)fprintf(stderr, "there is no test %s\n", argv[1]);
    return tried > 0 && wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
