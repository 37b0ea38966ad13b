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
#include <unistd.h>

enum { SENDERS = 3, EACH = 1000 };

static struct letter {
    struct message message; /* first */
    int sender, number;
} letters[SENDERS][EACH];

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

static void *send_all(void *its)
{
    for (int i = 0; i < EACH; i++) {
        struct letter *letter = (struct letter *)its + i;
        *letter = (struct letter){.sender = (int)(letter - letters[0]) / EACH, .number = i};
        inbox_send(&inbox, &letter->message);
        if (i % 50 == 0)
            (void)sched_yield(); /* let the receiver fall asleep now and then */
    }
    return NULL;
}

TEST(messages_of_three_threads_arrive_each_once_and_in_the_order_of_their_sender)
{
    int next[SENDERS] = {0};
    pthread_t threads[SENDERS];

    check(inbox_open(&inbox) == 0);
    for (int i = 0; i < SENDERS; i++)
        threads[i] = begin(send_all, letters[i]);
    for (int i = 0; i < SENDERS * EACH; i++) {
        struct letter *letter = receive();
        check(letter->number == next[letter->sender]++);
    }
    for (int i = 0; i < SENDERS; i++)
        (void)pthread_join(threads[i], NULL);
    inbox_close(&inbox);
}

static void *send_one(void *letter)
{
    if (((struct letter *)letter)->number % 50 == 0)
        (void)usleep(1000); /* the receiver sleeps, most likely */
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

/* ---- offload ----------------------------------------------------------------------- */

static long wait_for_go(void *argument)
{
    while (!go)
        (void)usleep(100);
    return *(long *)argument;
}

ON_POLL(say_go_after_100_polls, go = its->polls == 100; return go ? 0 : again(its, waker))

TEST(while_a_function_is_offloaded_the_other_tasks_go_on)
{
    long number = 42;

    one.on_poll = say_go_after_100_polls;
    spawn_probe(&one);
    check(await(offload, offload(wait_for_go, &number)) == 42);
    check(one.polls == 100);
}

TEST(an_offload_that_is_dropped_lets_its_function_run_to_its_end_and_is_freed_once)
{
    static long number = 1;

    for (int i = 0; i < 100; i++) { /* the last one ends for certain after its drop */
        go = i < 99;
        struct offload work = offload(wait_for_go, &number);
        long result = await(timeout, timeout(&work.future, 0));
        check(go || result == TIMED_OUT);
    }
    go = true;
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
    struct offload work = offload(wait_for_go, NULL);

    runtime_close();
    int before = lowest_free_descriptor();
    check(inbox_open(&inbox) == -EBADF);
    check(poll_by_hand(work) == -EBADF);
    check(lowest_free_descriptor() == before);
    inbox_close(&inbox); /* does nothing */
    check(runtime_open() == 0);
}
