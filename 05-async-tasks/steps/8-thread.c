/* Step 8: a waker for another thread: it sends a message. From 2-waker.c, 4-reactor.c. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static _Thread_local const char *thread = "main";

#define PENDING (-4096L) /* not ready yet: no count, and no -errno */

struct waker {
    void (*wake)(struct waker *waker);
};

struct future {
    long (*poll)(struct future *future, struct waker *waker);
};

/* ---- the reactor, as in step 4 ----------------------------------------------------- */

static int epoll_fd;

struct source {
    int fd;
    struct waker *waiter; /* whom to wake when there is more; NULL: nobody */
};

static void reactor_wait(void)
{
    struct epoll_event event;

    printf("%s: sleep in epoll_wait\n", thread);
    if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
        return; /* a signal: ask again */
    struct source *source = event.data.ptr;
    struct waker *waker = source->waiter;
    printf("%s: dispatch\n", thread);
    source->waiter = NULL;
    if (waker != NULL)
        waker->wake(waker);
}

/* ---- the inbox: the only place with a lock ----------------------------------------- */

struct inbox {
    pthread_mutex_t mutex; /* guards the message */
    const char *message;   /* NULL: none */
    struct source event;   /* an eventfd */
};

/* On any thread. */
static void inbox_send(struct inbox *inbox, const char *message)
{
    (void)pthread_mutex_lock(&inbox->mutex);
    inbox->message = message;
    (void)eventfd_write(inbox->event.fd, 1); /* the edge that ends epoll_wait */
    (void)pthread_mutex_unlock(&inbox->mutex);
}

struct receive {
    struct future future;
    struct inbox *inbox;
    const char *message;
};

static long receive_poll(struct future *future, struct waker *waker)
{
    struct receive *self = (struct receive *)future;

    (void)pthread_mutex_lock(&self->inbox->mutex);
    self->message = self->inbox->message;
    (void)pthread_mutex_unlock(&self->inbox->mutex);
    if (self->message != NULL)
        return 0;
    self->inbox->event.waiter = waker;
    return PENDING;
}

/* ---- main: a helper thread has a message for us ------------------------------------ */

struct root {
    struct waker waker;
    bool woken;
};

static void root_wake(struct waker *waker)
{
    printf("%s: wake: noted\n", thread);
    ((struct root *)waker)->woken = true;
}

static void *help(void *inbox)
{
    thread = "helper";
    (void)sleep(1);
    printf("%s: send\n", thread);
    inbox_send(inbox, "it is ready");
    return NULL;
}

int main(void)
{
    struct inbox inbox = {PTHREAD_MUTEX_INITIALIZER, .event = {eventfd(0, 0), NULL}};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &inbox.event};
    struct receive receive = {{receive_poll}, &inbox, NULL};
    struct root root = {.waker = {root_wake}, .woken = true}; /* the first poll is free */
    long result = PENDING;
    pthread_t helper;

    epoll_fd = epoll_create1(0);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, inbox.event.fd, &event) == -1 ||
        pthread_create(&helper, NULL, help, &inbox) != 0)
        exit(EXIT_FAILURE);
    while (result == PENDING) {
        if (!root.woken) {
            reactor_wait();
            continue;
        }
        root.woken = false;
        result = receive.future.poll(&receive.future, &root.waker);
        printf("%s: poll: %s\n", thread, result == PENDING ? "PENDING" : receive.message);
    }
    (void)pthread_join(helper, NULL);
    return 0;
}
