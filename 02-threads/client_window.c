/* client_window.c: what has been typed and has not come back yet. See client_window.h. */
#include "client_window.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The bytes from count `from` to count `to`, as far as the end of the ring. */
static struct piece piece_of(struct window *window, size_t from, size_t to)
{
    size_t start = from % WINDOW_SIZE;
    return (struct piece){window->ring + start, smaller(to - from, WINDOW_SIZE - start)};
}

struct piece window_room(struct window *window)
{
    return piece_of(window, window->typed, window->echoed + WINDOW_SIZE);
}

struct piece window_unsent(struct window *window)
{
    return piece_of(window, window->sent, window->typed);
}

bool window_owes(const struct window *window)
{
    return window->typed != window->echoed;
}

bool window_check(struct window *window, const unsigned char *echo, size_t length,
                  struct fault *fault)
{
    while (length > 0) {
        struct piece sent = piece_of(window, window->echoed, window->sent);
        size_t part = smaller(sent.length, length);
        if (part == 0)
            return fault_extra_byte(fault, window->echoed);
        if (!echo_is_right(sent.bytes, echo, part, window->echoed, fault))
            return false;
        window->echoed += part;
        echo += part;
        length -= part;
    }
    return true;
}

bool window_check_end(const struct window *window, bool ended, struct fault *fault)
{
    if (ended && !window_owes(window))
        return true;
    return fault_early_end(fault, window->echoed, window->typed);
}
