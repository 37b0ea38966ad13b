/* speaks_without_a_pause.c: says everything before it listens.
 *
 * Room: guests
 * The bug: first all of stdin is written, then all of the echo is read. A few kilobytes
 * hide in the buffers of the kernel. With more the server waits until the client reads,
 * the client until the server does, and both wait for ever.
 * Whom it bit: kchat (issue 1), x11rb (pull request 422), redis-rs (issue 1955), where
 * two big commands in a pipeline were enough.
 * Caught by: test_a_big_file_comes_back_whole_and_in_bounded_memory
 */
#define _GNU_SOURCE
#include "right.h"

int main(int argc, char **argv)
{
    int server = knock(argc, argv);
    static char said[32 << 20];
    size_t length = 0;
    ssize_t more;

    while ((more = read(STDIN_FILENO, said + length, sizeof said - length)) > 0) {
        say(server, said + length, (size_t)more);
        length += (size_t)more;
    }
    hear_echo(server, said, length);
    show(said, length);
    say_goodbye(server);
}
