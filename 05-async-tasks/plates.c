/* plates.c: a few clean plates on the shelf. See plates.h. */
#include "plates.h"

#include <stddef.h>
#include <stdlib.h>

#define SHELF_SIZE 8 /* more are freed: one busy hour must not keep its memory for ever */

static _Thread_local unsigned char *shelf[SHELF_SIZE];
static _Thread_local int on_shelf;

unsigned char *plate_take(void)
{
    return on_shelf > 0 ? shelf[--on_shelf] : malloc(PLATE_SIZE);
}

void plate_return(unsigned char *plate)
{
    if (plate != NULL && on_shelf < SHELF_SIZE)
        shelf[on_shelf++] = plate;
    else
        free(plate);
}

void plates_clear(void)
{
    while (on_shelf > 0)
        free(shelf[--on_shelf]);
}
