/* begin.h: how each of these servers begins: options, runtime, listener. */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net.h"
#include "options.h"
#include "runtime.h"
#include "task.h"

static void begin(int argc, char **argv, struct tcp_listener *listener)
{
    struct server_options options = server_options(argc, argv, NULL);
    struct address here;

    log_start();
    int error = runtime_open();
    if (error < 0)
        errx(EXIT_FAILURE, "runtime: %s", strerror(-error));
    tcp_listen(listener, options.host, options.port, &here);
    log_line("✅ Server listening on %s", address_name(&here).text);
}
