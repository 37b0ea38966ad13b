/* unit.c: the helpers of the unit tests. See unit.h. `unit` lists them; `unit NAME` runs. */
#define _GNU_SOURCE
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
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

/* ---- system calls: memory that runs out, a clock that is moved, events counted ----- */

int allocations_left = -1;

void *__real_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (allocations_left >= 0 && allocations_left-- == 0)
        return NULL;
    return __real_malloc(size);
}

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

atomic_int events_written;

int __real_eventfd_write(int fd, eventfd_t value);

int __wrap_eventfd_write(int fd, eventfd_t value)
{
    int result = __real_eventfd_write(fd, value);
    events_written++;
    return result;
}

/* ---- tasks ------------------------------------------------------------------------- */

struct counts one, two;
struct bell bell = {{ring}, 0};

long join(struct join *handle)
{
    return block_on(&handle->future);
}

void cancel(struct join *handle)
{
    task_cancel(handle);
    future_drop(&handle->future);
}

long again(struct counts *counts, struct waker *waker)
{
    (void)counts;
    waker->wake(waker);
    return PENDING;
}

ON_POLL(once_again, return its->polls > 1 ? 0 : again(its, waker))

void turn(void)
{
    struct counts yield = {.on_poll = once_again};
    (void)await(probe, probe(&yield));
}

void turns(int count)
{
    while (count-- > 0)
        turn();
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

void spawn_probe(struct counts *counts)
{
    start(&counts->handle, probe, probe(counts));
    turn();
}

long ready(struct counts *counts, struct waker *waker)
{
    (void)counts, (void)waker;
    return 7;
}

long use_up(struct counts *counts, struct waker *waker)
{
    (void)counts;
    while (coop_proceed(waker, 0))
        continue;
    return PENDING;
}

static long until_poll(struct future *future, struct waker *waker)
{
    struct until *self = (struct until *)future;
    long number;

    ASYNC_BEGIN;
    AWAIT_UNTIL(number, self->work, self->other);
    ASYNC_END;
    return number;
}
ASYNC_VTABLE(until);

struct until until(struct future *work, struct future *other)
{
    return (struct until){{&until_vtable}, {0}, work, other};
}

void wake(struct counts *counts)
{
    counts->waker->wake(counts->waker);
}

void ring(struct waker *waker)
{
    ((struct bell *)waker)->rung++;
}

/* ---- sockets ----------------------------------------------------------------------- */

struct pair pair = {{{.fd = -1}}, -1};
static char much[64 * 1024];

void pair_take(int fd, int other)
{
    pair.other = other;
    pair.stream = tcp_stream_from(fd);
    check(tcp_stream_register(&pair.stream) == 0);
}

void pair_open(void)
{
    int both[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, both) == 0);
    pair_take(both[0], both[1]);
}

void pair_close(void)
{
    tcp_stream_close(&pair.stream);
    (void)close(pair.other);
    pair.other = -1;
}

void pair_fill(void)
{
    while (send(pair.stream.source.fd, much, 1024, MSG_DONTWAIT) > 0)
        continue;
    turn();
}

void say(const char *text)
{
    ssize_t length = (ssize_t)strlen(text);
    check(send(pair.other, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) == length);
}

long hear(void)
{
    long all = 0;

    for (long some; (some = recv(pair.other, much, sizeof much, MSG_DONTWAIT)) > 0;)
        all += some;
    return all;
}

/* ---- the runner -------------------------------------------------------------------- */

static void run(const struct unit *unit)
{
    (void)alarm(LIMIT_SECONDS);
    check(runtime_open() == 0);
    coop_budget = COOP_BUDGET;
    unit->run();
    future_drop(&one.handle.future);
    future_drop(&two.handle.future);
    pair_close();
    runtime_close();
}

int main(int argc, char **argv)
{
    for (int i = 0; i < unit_count; i++) {
        if (argc < 2)
            (void)printf("%s\n", units[i].name);
        else if (strcmp(argv[1], units[i].name) == 0)
            return run(&units[i]), EXIT_SUCCESS;
    }
    return argc < 2 ? EXIT_SUCCESS : 2;
}
