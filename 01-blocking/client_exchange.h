/* client_exchange.h: say something, hear it again, on a socket that blocks.
 *
 * The same file stands in every chapter that has such a socket.
 */
#ifndef CLIENT_EXCHANGE_H
#define CLIENT_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "client_check.h"

/* Sends the message and takes back its echo, in turns: a piece out, the same piece back
 * in. `offset` is the number of bytes that went before. Returns false with the fault
 * told. */
bool exchange(int socket, const void *message, size_t length, size_t offset,
              struct fault *fault);

/* Says goodbye, and waits for the server's: nothing more may come after `offset`
 * bytes. */
bool exchange_goodbye(int socket, size_t offset, struct fault *fault);

#endif
