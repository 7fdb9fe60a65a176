/* What compilers make of C, on memory that is given: see program.c. */
#ifndef WORK_H
#define WORK_H

#include <stddef.h>
#include <stdint.h>

/* Uses 64 KiB; returns a number that all of it went into. */
uint64_t work(char *memory);

#endif
