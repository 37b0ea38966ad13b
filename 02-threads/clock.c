/* clock.c: the time. See clock.h. */
#define _GNU_SOURCE
#include "clock.h"

#include <time.h>

int64_t clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock always exists */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
