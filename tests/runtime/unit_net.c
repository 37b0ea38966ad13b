/* unit_net.c: TCP, the budget, and Ctrl-C. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TURN() AWAIT(done, self->yield, yield_now())
#define BIG (8 << 20)
#define BUDGET 128

static struct counts counts, others[3];
static struct tcp_stream stream;
static struct tcp_listener listener;
static struct address here, who;
static unsigned char bytes[BIG], buffer[100];
static int other;

static void listen_here(void)
{
    int door = open_door(&here);
    int error = tcp_listener_from(&listener, door);
    assert(error == 0);
}

/* ---- reading and writing ----------------------------------------------------------- */

BODY(read_to_the_end)
{
    static int guest;
    long done;
    ASYNC_BEGIN(stage);
    listen_here();
    guest = visit(&here);
    done = write(guest, "hello", 5);
    assert(done == 5);
    (void)shutdown(guest, SHUT_WR); /* all of it before the first epoll_wait() */
    AWAIT(done, self->accept, tcp_accept(&listener, &stream, &who));
    assert(done == 0);
    AWAIT(done, self->read, tcp_read(&stream, buffer, sizeof buffer));
    assert(done == 5);
    AWAIT(done, self->read, tcp_read(&stream, buffer, sizeof buffer));
    assert(done == 0);
    AWAIT(done, self->read, tcp_read(&stream, buffer, sizeof buffer));
    assert(done == 0); /* as often as one likes */
    AWAIT(done, self->write_all, tcp_write_all(&stream, "bye", 3));
    assert(done == 0); /* he still listens */
    done = read(guest, buffer, sizeof buffer);
    assert(done == 3);
    tcp_close(&stream);
    tcp_listener_close(&listener);
    (void)close(guest);
    ASYNC_END(0);
}

TEST(data_and_goodbye_before_the_first_look)
{
    assert(run(read_to_the_end) == 0);
}

BODY(wait_for_a_byte)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->readable, tcp_readable(&stream));
    ASYNC_END(done);
}

BODY(hang_two_bells)
{
    struct bell *second = NULL;
    long done;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    self->join = start(wait_for_a_byte, &counts);
    TURN();
    assert(counts.polls == 1);
    done = reactor_add(stream.bell->fd, 0, &second);
    assert(done == -EEXIST && second == NULL);
    done = write(other, "!", 1);
    assert(done == 1);
    AWAIT(done, self->timeout, timeout(&self->join.future, 10 * 1000));
    assert(done == 0);
    tcp_close(&stream);
    (void)close(other);
    ASYNC_END(0);
}

TEST(a_second_bell_on_a_descriptor_does_not_harm_the_first)
{
    assert(run(hang_two_bells) == 0);
    assert(counts.drops == 1);
}

static void *read_slowly(void *nothing)
{
    static unsigned char part[300000];
    size_t length = 0;

    while (length < BIG) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ssize_t got = read(other, part, sizeof part);
        assert(got > 0 && memcmp(part, bytes + length, (size_t)got) == 0);
        length += (size_t)got;
    }
    return nothing;
}

BODY(write_much)
{
    static pthread_t reader;
    long done;
    int error;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    for (int i = 0; i < BIG; i++)
        bytes[i] = (unsigned char)((unsigned)i * 2654435761u >> 24);
    error = pthread_create(&reader, NULL, read_slowly, NULL);
    assert(error == 0);
    AWAIT(done, self->write_all, tcp_write_all(&stream, bytes, BIG));
    tcp_close(&stream);
    (void)pthread_join(reader, NULL);
    ASYNC_END(done);
}

TEST(much_to_write_for_a_slow_reader)
{
    assert(run(write_much) == 0);
}

BODY(write_to_nobody)
{
    long done;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    (void)close(other);
    AWAIT(done, self->write_all, tcp_write_all(&stream, "x", 0));
    assert(done == 0);
    AWAIT(done, self->write_all, tcp_write_all(&stream, "x", 1));
    tcp_close(&stream);
    ASYNC_END(done);
}

TEST(write_to_who_is_gone)
{
    assert(run(write_to_nobody) == -EPIPE);
}

/* ---- connecting -------------------------------------------------------------------- */

BODY(connect_and_greet)
{
    static struct tcp_stream guest;
    long done;
    ASYNC_BEGIN(stage);
    listen_here();
    AWAIT(done, self->connect, tcp_connect(&here, &guest));
    assert(done == 0 && guest.bell != NULL);
    AWAIT(done, self->accept, tcp_accept(&listener, &stream, &who));
    assert(done == 0);
    AWAIT(done, self->write_all, tcp_write_all(&guest, "hello", 5));
    AWAIT(done, self->read, tcp_read(&stream, buffer, sizeof buffer));
    assert(done == 5 && memcmp(buffer, "hello", 5) == 0);
    tcp_shutdown(&stream);
    AWAIT(done, self->read, tcp_read(&guest, buffer, sizeof buffer));
    tcp_close(&guest);
    tcp_close(&stream);
    tcp_listener_close(&listener);
    ASYNC_END(done);
}

TEST(connect_accept_write_read_shutdown)
{
    assert(run(connect_and_greet) == 0);
}

BODY(connect_to_nobody)
{
    long done;
    ASYNC_BEGIN(stage);
    (void)close(open_door(&here));
    AWAIT(done, self->connect, tcp_connect(&here, &stream));
    assert(stream.bell == NULL);
    ASYNC_END(done);
}

TEST(connect_is_refused)
{
    assert(run(connect_to_nobody) == -ECONNREFUSED);
}

/* ---- the budget -------------------------------------------------------------------- */

static struct poll until_told_to_stop(struct counts *its, struct waker *waker)
{
    int went_on = 0;
    (void)its;
    while (task_may_go_on(waker))
        went_on++;
    assert(went_on == BUDGET);
    assert(!task_may_go_on(waker)); /* and it stays so for this turn */
    return PENDING;
}

BODY(two_spenders)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start_probe(&counts);
    self->other_join = start_probe(&others[0]);
    TURN();
    TURN();
    TURN();
    assert(counts.polls == 3 && others[0].polls == 3); /* back in line by themselves */
    task_detach(&self->join);
    task_detach(&self->other_join);
    ASYNC_END(done);
}

TEST(the_budget_is_128_a_turn)
{
    counts.on_poll = others[0].on_poll = until_told_to_stop;
    assert(run(two_spenders) == 0);
}

static int times_ready;

/* The bytes are never read, so the stream is always readable. */
BODY(always_ready)
{
    long done;
    ASYNC_BEGIN(stage);
    for (;;) {
        AWAIT(done, self->readable, tcp_readable(&stream));
        times_ready++;
    }
    ASYNC_END(done);
}

static struct poll wake_for_ever(struct counts *its, struct waker *waker)
{
    (void)its;
    waker->wake(waker);
    return PENDING;
}

static void *say_and_hear(void *nothing)
{
    int64_t start = now_us();
    char byte = 'x';
    for (int i = 0; i < 20; i++) {
        ssize_t sent = write(other, &byte, 1);
        ssize_t got = read(other, &byte, 1);
        assert(sent == 1 && got == 1);
    }
    assert(now_us() - start < 20 * 100000); /* 100 ms each */
    (void)shutdown(other, SHUT_WR);
    return nothing;
}

BODY(echo_beside)
{
    static struct tcp_stream guest;
    static pthread_t talker;
    long done;
    int error;
    ASYNC_BEGIN(stage);
    stream = open_stream(&other);
    done = write(other, "never read", 10);
    assert(done == 10);
    self->join = start(always_ready, &others[0]);
    self->other_join = start_probe(&others[1]);
    guest = open_stream(&other);
    error = pthread_create(&talker, NULL, say_and_hear, NULL);
    assert(error == 0);
    for (;;) {
        AWAIT(done, self->read, tcp_read(&guest, buffer, sizeof buffer));
        if (done <= 0)
            break;
        AWAIT(done, self->write_all, tcp_write_all(&guest, buffer, 1));
    }
    (void)pthread_join(talker, NULL);
    tcp_close(&guest);
    task_cancel(&self->join);
    tcp_close(&stream);
    task_detach(&self->join);
    task_detach(&self->other_join);
    ASYNC_END(done);
}

TEST(two_tasks_that_never_wait_beside_an_echo)
{
    others[1].on_poll = wake_for_ever;
    assert(run(echo_beside) == 0);
    assert(times_ready > 0 && times_ready <= others[0].polls * BUDGET);
}

/* ---- Ctrl-C ------------------------------------------------------------------------ */

BODY(wait_for_ctrl_c)
{
    long done;
    ASYNC_BEGIN(stage);
    AWAIT(done, self->ctrl_c, ctrl_c());
    ASYNC_END(done);
}

BODY(work_until_ctrl_c)
{
    long done;
    ASYNC_BEGIN(stage);
    self->probe = probe(&counts);
    AWAIT(done, self->until, until_ctrl_c(&self->probe.future));
    assert(counts.drops == 1);
    ASYNC_END(done);
}

static struct join worker;

BODY(ring_for_all)
{
    long done;
    ASYNC_BEGIN(stage);
    self->join = start(wait_for_ctrl_c, &others[0]);
    self->other_join = start(wait_for_ctrl_c, &others[1]);
    worker = start(work_until_ctrl_c, &others[2]);
    TURN();
    TURN();
    assert(others[0].drops == 0 && others[1].drops == 0 && others[2].drops == 0);
    (void)raise(SIGINT);
    AWAIT(done, self->waiting, self->join);
    assert(done == 0);
    AWAIT(done, self->waiting, self->other_join);
    assert(done == 0);
    AWAIT(done, self->waiting, worker);
    ASYNC_END(done);
}

TEST(ctrl_c_is_heard_by_all)
{
    assert(run(ring_for_all) == -ECANCELED);
    assert(counts.drops == 1);
    counts = (struct counts){0};
    assert(run(wait_for_ctrl_c) == 0); /* by a later runtime, too: for ever */
    assert(run(work_until_ctrl_c) == -ECANCELED);
}

static void *press_later(void *nothing)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    (void)kill(getpid(), SIGTERM);
    return nothing;
}

TEST(sigterm_is_heard_while_everybody_sleeps)
{
    pthread_t presser;
    int error = pthread_create(&presser, NULL, press_later, NULL);
    assert(error == 0);
    assert(run(wait_for_ctrl_c) == 0);
    (void)pthread_join(presser, NULL);
}
