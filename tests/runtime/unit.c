/* unit.c: the helpers of the unit tests. See unit.h. `unit` lists them; `unit NAME` runs. */
#define _GNU_SOURCE
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_TESTS 250
#define LIMIT_SECONDS 30 /* a test that hangs is ended by SIGALRM */

static struct unit {
    const char *name;
    void (*run)(void);
} units[MOST_TESTS];
static int unit_count;

void add_unit(const char *name, void (*run)(void))
{
    check(unit_count < MOST_TESTS);
    units[unit_count++] = (struct unit){name, run};
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

static bool runs_out(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return runs_out() ? NULL : __real_malloc(size);
}

/* ---- a clock that can be moved ----------------------------------------------------- */

static int64_t passed_ms;

int __real_clock_gettime(clockid_t clock, struct timespec *now);

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

/* ---- tasks ------------------------------------------------------------------------- */

long join(struct join *handle)
{
    return block_on(&handle->future);
}

void detach(struct join *handle)
{
    future_drop(&handle->future);
}

void cancel(struct join *handle)
{
    task_cancel(handle);
    future_drop(&handle->future);
}

struct yield {
    struct future future;
    bool yielded;
};

static long yield_poll(struct future *future, struct waker *waker)
{
    struct yield *self = (struct yield *)future;

    if (self->yielded)
        return 0;
    self->yielded = true;
    waker->wake(waker);
    return PENDING;
}

void turn(void)
{
    static const struct future_vtable vtable = {yield_poll, NULL};
    (void)await(yield, (struct yield){.future = {&vtable}});
}

static long probe_poll(struct future *future, struct waker *waker)
{
    struct counts *counts = ((struct probe *)future)->counts;

    counts->polls++;
    counts->waker = waker_keep(waker);
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

int connect_to(const struct address *there)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(connect(fd, &there->any, sizeof there->v4) == 0);
    return fd;
}

void pair_open_tcp(struct pair *pair)
{
    struct tcp_listener listener;
    struct address here, peer;

    tcp_listen(&listener, "127.0.0.1", 0, &here);
    pair->other = connect_to(&here);
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

int main(int argc, char **argv)
{
    for (int i = 0; i < unit_count; i++) {
        if (argc < 2)
            (void)printf("%s\n", units[i].name);
        if (argc < 2 || strcmp(argv[1], units[i].name) != 0)
            continue;
        (void)alarm(LIMIT_SECONDS);
        check(runtime_open() == 0);
        coop_budget = COOP_BUDGET;
        units[i].run();
        runtime_close();
        return EXIT_SUCCESS;
    }
    return argc < 2 ? EXIT_SUCCESS : 2;
}
