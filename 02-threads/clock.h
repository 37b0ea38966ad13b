/* clock.h: the time, as far as a server needs it. The same file stands in every chapter
 * that looks at the clock.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds since some moment before the process began. Never goes back, not even when
 * somebody sets the clock on the wall. (Tokio: Instant::now.) */
int64_t clock_now(void);

#endif
