/* runtime.h: opening hours: run what can go on, sleep until a bell rings, run again. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include "future.h"

/* Runs a future variable that has not been polled to its end on this thread, and every
 * task that is spawned on the way; whoever is still there then is cancelled. The variable
 * is moved: it may not be used again. Returns its number, or -errno when there is no
 * runtime to be had (a descriptor, memory); then nothing was run, and it is dropped.
 * (Tokio: Runtime::block_on with the current-thread runtime, and then its drop.) */
#define block_on(variable) runtime_block_on(&(variable).future, sizeof(variable))
long runtime_block_on(struct future *future, size_t size);

#endif
