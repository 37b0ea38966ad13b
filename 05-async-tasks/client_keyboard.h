/* client_keyboard.h: a leaf of our own: ready when stdin can be read. */
#ifndef CLIENT_KEYBOARD_H
#define CLIENT_KEYBOARD_H

#include "future.h"

/* Ready when a read from stdin will not wait; its number is 0. One task may wait for it.
 * Ends the process when stdin cannot be watched at all. (Tokio: AsyncFd::readable.) */
struct keyboard_ready {
    struct future future;
    struct bell *bell; /* NULL: a file, which has none, and can always be read */
};
struct keyboard_ready keyboard_ready(void);

#endif
