/* client_window.h: what has been typed and has not come back yet.
 *
 * A ring of bytes with three counts that only grow: echoed <= sent <= typed. Between
 * echoed and typed the ring keeps the bytes, so that each can be compared with its echo;
 * when it is full we stop listening to the keyboard. That bounds our memory, whatever the
 * length of the conversation. The same file stands in every chapter that has a window.
 */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "client_check.h"

#define WINDOW_SIZE (256 * 1024)

struct window {
    size_t typed, sent, echoed; /* bytes since the conversation began */
    unsigned char ring[WINDOW_SIZE];
};

/* A piece of the ring, without a break in it. */
struct piece {
    unsigned char *bytes;
    size_t length;
};

/* Where the next bytes from the keyboard go; length 0 while the window is full.
 * Then add what came to window->typed. */
struct piece window_room(struct window *window);

/* What is to be sent next. Then add what went out to window->sent. */
struct piece window_unsent(struct window *window);

/* Whether the server owes us an echo. */
bool window_owes(const struct window *window);

/* Compares an echo with what was sent and adds it to window->echoed. */
bool window_check(struct window *window, const unsigned char *echo, size_t length,
                  struct fault *fault);

/* The server has said goodbye: has everything come back? `ended` is whether we had said
 * goodbye before. */
bool window_check_end(const struct window *window, bool ended, struct fault *fault);

#endif
