/* client_keyboard.c: a leaf of our own. See client_keyboard.h.
 *
 * The keyboard's descriptor stays a blocking one: it belongs to the shell too, which
 * would find it changed. So we ask poll(2) before each read; a bell tells when to ask.
 */
#include "client_keyboard.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "reactor.h"
#include "task.h"

/* Whether a read would not wait now. */
static bool something_is_typed(void)
{
    struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready;
    do
        ready = poll(&keyboard, 1, 0);
    while (ready == -1 && errno == EINTR); /* no answer is not "no": no bell would ring */
    if (ready == -1)
        fail("poll: %s", strerror(errno));
    return ready == 1;
}

/* Hung once, and never taken off. */
static struct bell *keyboard_bell(void)
{
    static struct bell *bell;
    static bool tried;
    int error = tried ? 0 : reactor_add(STDIN_FILENO, 0, &bell);
    if (error < 0 && error != -EPERM)
        fail("stdin: %s", strerror(-error));
    tried = true;
    return bell;
}

static struct poll keyboard_poll(struct future *future, struct waker *waker)
{
    struct bell *bell = ((struct keyboard_ready *)future)->bell;

    if (!task_may_go_on(waker))
        return PENDING;
    if (bell == NULL || something_is_typed())
        return READY(0);
    bell_used(bell, READ_SIDE, -EAGAIN, 0);
    (void)bell_ready(bell, READ_SIDE, waker); /* no: just used up */
    return PENDING;
}

static void keyboard_drop(struct future *future)
{
    struct bell *bell = ((struct keyboard_ready *)future)->bell;
    if (bell != NULL)
        bell_forget(bell, READ_SIDE);
}

struct keyboard_ready keyboard_ready(void)
{
    static const struct future_kind kind = {keyboard_poll, keyboard_drop};
    return (struct keyboard_ready){{&kind}, keyboard_bell()};
}
