/* ctrl_c.h: Ctrl-C, and SIGTERM, as a future. */
#ifndef CTRL_C_H
#define CTRL_C_H

#include "future.h"

/* Ready once one of the two signals has come, from then on for ever; its number is 0. Any
 * number of tasks of any thread may wait for it. A second signal ends the process, as it
 * always did. (Tokio: signal::ctrl_c. There it is SIGINT alone, each future wants a
 * Ctrl-C of its own, and none of them ends the process any more.) */
struct ctrl_c {
    struct future future;
};
struct ctrl_c ctrl_c(void);

/* The other future's number, or -ECANCELED once one of the signals has come: then the
 * other one is dropped. It must stay where it is as long as this one does.
 * (tokio-util: CancellationToken::run_until_cancelled.) */
struct until_ctrl_c {
    struct future future;
    struct future *work;
};
struct until_ctrl_c until_ctrl_c(struct future *work);

/* ---- for the runtime --------------------------------------------------------------- */

/* Lets this thread's reactor hear the signals. Returns 0 or -errno. */
int ctrl_c_listen(void);

/* This thread listens no more; to be called before its reactor is closed. */
void ctrl_c_leave(void);

#endif
