/* plates.h: a few clean plates on the shelf.
 *
 * A guest who says nothing needs no plate. Whoever is served borrows one, and gives it
 * back when it is empty: ten thousand silent guests need no buffer at all, and there is
 * still a big one for whoever speaks. The same file stands in every chapter that has
 * plates.
 */
#ifndef PLATES_H
#define PLATES_H

#define PLATE_SIZE (64 * 1024)

/* A plate of PLATE_SIZE bytes, or NULL: no memory. The shelf belongs to the thread: give
 * the plate back from the thread that took it. */
unsigned char *plate_take(void);

/* Gives it back; NULL is fine. */
void plate_return(unsigned char *plate);

/* Frees what stands on this thread's shelf. */
void plates_clear(void);

#endif
