/* blocks_on_its_log.c: stops serving because nobody reads what it prints.
 *
 * Wrong: A line for each connection on stderr, and stderr is a pipe. When its reader does
 * not read, the pipe is full after 64 KiB, and the write blocks for ever.
 * Seen: https://github.com/automagik-dev/autopg/issues/149, a whole database at rest
 * because one program stopped reading its log.
 * Expect: expected client A: 20 more bytes of echo, but the server sent nothing for
 * Caught by: tests/server/test_log.py::test_a_pipe_that_is_full_stops_nobody
 */
#define _GNU_SOURCE
#include "../right.h"

static void *serve(void *argument)
{
    fprintf(stderr, "New connection\n");
    return echo(argument);
}

int main(int argc, char **argv)
{
    serve_with_threads(open_listener(argc, argv), serve);
}
