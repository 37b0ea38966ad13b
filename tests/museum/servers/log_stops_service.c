/* log_stops_service.c: stops serving because nobody reads its diary.
 *
 * Room: sleep
 * The bug: a line for each guest on stderr, and stderr is a pipe. When its reader does
 * not read, the pipe is full after 64 KiB, and the write sleeps for ever, guests or no
 * guests.
 * Whom it bit: clice (pull request 514), the server of Atlas (atlas-docs, pull request
 * 72), postgrest (issue 2390).
 * Caught by: test_a_log_that_nobody_reads_stops_nobody
 */
#define _GNU_SOURCE
#include "right.h"

static void *serve_guest(void *argument)
{
    fprintf(stderr, "New connection\n");
    return serve_until_goodbye(argument);
}

int main(int argc, char **argv)
{
    take_in_guests(open_door(argc, argv, 0), serve_guest);
}
