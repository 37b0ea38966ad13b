/* ignores_sigterm.c: does not end.
 *
 * Wrong: SIGTERM is ignored. For process 1 of a container it is so by default: the kernel
 * spares it the default action of a signal without a handler.
 * Seen: everybody who has waited ten seconds for `docker stop`.
 * Expect: expected client B: the server's end, but nothing happened for
 * Caught by: tests/server/test_closing.py::test_idle_clients_see_an_orderly_end
 */
#define _GNU_SOURCE
#include "../right.h"

int main(int argc, char **argv)
{
    signal(SIGTERM, SIG_IGN);
    serve_with_threads(open_listener(argc, argv), echo);
}
