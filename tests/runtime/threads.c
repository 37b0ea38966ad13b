/* threads.c: the inbox and offload. See unit.h.
 *
 * These tests also run under ThreadSanitizer.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SENDERS = 3, EACH = 2000 };

struct letter {
    struct message message; /* first */
    int sender, number;
};

static struct inbox inbox;
static atomic_bool go;

static struct letter *receive(void)
{
    struct message *message = NULL;
    check(await(inbox_receive, inbox_receive(&inbox, &message)) == 0);
    return (struct letter *)message;
}

static pthread_t begin(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    check(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

/* ---- inbox ------------------------------------------------------------------------- */

static void *send_letters(void *sender)
{
    for (int i = 0; i < EACH; i++) {
        struct letter *letter = malloc(sizeof *letter);
        *letter = (struct letter){.sender = *(int *)sender, .number = i};
        inbox_send(&inbox, &letter->message);
        if (i % 50 == 0)
            (void)sched_yield(); /* let the receiver fall asleep now and then */
    }
    return NULL;
}

TEST(messages_of_three_threads_arrive_each_once_and_in_the_order_of_their_sender)
{
    int names[SENDERS], next[SENDERS] = {0};
    pthread_t threads[SENDERS];

    check(inbox_open(&inbox) == 0);
    for (int i = 0; i < SENDERS; i++) {
        names[i] = i;
        threads[i] = begin(send_letters, &names[i]);
    }
    for (int i = 0; i < SENDERS * EACH; i++) {
        struct letter *letter = receive();
        check(letter->number == next[letter->sender]++);
        free(letter);
    }
    for (int i = 0; i < SENDERS; i++)
        (void)pthread_join(threads[i], NULL);
    inbox_close(&inbox);
}

static void *send_one(void *letter)
{
    inbox_send(&inbox, letter);
    return NULL;
}

/* The sender may still be in inbox_send() when the receiver has its message. */
TEST(an_inbox_may_be_closed_as_soon_as_its_last_message_is_there)
{
    for (int i = 0; i < 300; i++) {
        struct letter letter = {.number = i};
        check(inbox_open(&inbox) == 0);
        pthread_t thread = begin(send_one, &letter);
        check(receive() == &letter);
        inbox_close(&inbox);
        (void)pthread_join(thread, NULL);
    }
}

static void *send_late(void *letter)
{
    (void)usleep(20000);
    inbox_send(&inbox, letter);
    return NULL;
}

TEST(a_message_ends_the_wait_of_a_sleeping_thread)
{
    struct letter letter;

    check(inbox_open(&inbox) == 0);
    pthread_t thread = begin(send_late, &letter);
    check(receive() == &letter);
    (void)pthread_join(thread, NULL);
    inbox_close(&inbox);
}

/* ---- offload ----------------------------------------------------------------------- */

static long answer(void *argument)
{
    return *(long *)argument;
}

static long wait_for_go(void *argument)
{
    while (!go)
        (void)usleep(1000);
    return *(long *)argument;
}

TEST(offload_ends_with_the_number_of_its_function)
{
    long number = 99;
    check(await(offload, offload(answer, &number)) == 99);
}

static long say_go_after_100_polls(struct counts *its, struct waker *waker)
{
    if (its->polls == 100)
        go = true;
    waker->wake(waker);
    return go ? 0 : PENDING;
}

TEST(while_a_function_is_offloaded_the_other_tasks_go_on)
{
    static struct counts other = {.on_poll = say_go_after_100_polls};
    long number = 42;

    start(NULL, probe, probe(&other));
    check(await(offload, offload(wait_for_go, &number)) == 42);
    check(other.polls == 100);
}

TEST(an_offload_that_is_dropped_lets_its_function_run_to_its_end)
{
    static long number = 42;
    struct offload work = offload(wait_for_go, &number);

    check(await(timeout, timeout(&work.future, 5)) == TIMED_OUT);
    go = true;
    (void)await(sleep, sleep_for(20));
}

TEST(an_offload_that_is_dropped_as_it_ends_is_freed_once)
{
    static long number = 1;

    for (int i = 0; i < 100; i++) {
        struct offload work = offload(answer, &number);
        (void)await(timeout, timeout(&work.future, 0));
    }
    (void)usleep(20000);
}

/* ---- two runtimes ------------------------------------------------------------------ */

static void *run_another(void *nothing)
{
    check(runtime_open() == 0);
    for (int i = 0; i < 20; i++) {
        struct join handle;
        start(&handle, sleep, sleep_for(1));
        start(NULL, sleep, sleep_for(100000));
        check(join(&handle) == 0);
    }
    stop_now();
    check(await(stopped, stopped()) == 0);
    runtime_close();
    return nothing;
}

TEST(two_threads_have_a_runtime_each_and_share_nothing)
{
    pthread_t thread = begin(run_another, NULL);
    for (int i = 0; i < 20; i++)
        check(await(sleep, sleep_for(1)) == 0);
    (void)pthread_join(thread, NULL);
    check(!stop_requested());
}

/* ---- no descriptor left open ------------------------------------------------------- */

static int lowest_free_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    (void)close(fd);
    return fd;
}

/* Without a runtime there is no epoll to register with. */
TEST(an_inbox_or_an_offload_that_cannot_be_registered_leaves_no_descriptor_open)
{
    struct bell waiting = bell();
    struct offload work = offload(answer, NULL);

    runtime_close();
    int before = lowest_free_descriptor();
    check(inbox_open(&inbox) == -EBADF);
    check(future_poll(&work.future, &waiting.waker) == -EBADF);
    check(lowest_free_descriptor() == before);
    inbox_close(&inbox); /* does nothing */
    check(runtime_open() == 0);
}
