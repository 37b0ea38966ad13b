/* spoils_the_terminal.c: leaves the terminal in disorder.
 *
 * Room: guests
 * The bug: O_NONBLOCK on stdin. It belongs to the open file and not to the process: the
 * shell has the same terminal, and so has every program that it starts afterwards.
 * "cat: stdin: Resource temporarily unavailable".
 * Whom it bit: ponyc (issue 205), curseofwar (pull request 38), libhoth (pull request
 * 13); shells learn to clean up behind others: elvish (issue 588), ksh93 (issue 469).
 * Caught by: test_its_terminal_is_left_as_it_was
 */
#define _GNU_SOURCE
#include "right.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
    int server = knock(argc, argv);
    char said[4096];
    size_t length;

    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    while ((length = read_keyboard(server, said, sizeof said)) > 0) {
        say(server, said, length);
        hear_echo(server, said, length);
        show(said, length);
    }
    say_goodbye(server);
}
