/*
 * The names of libc that are defined here.
 */
#ifndef TAGMEM_NAMES_H
#define TAGMEM_NAMES_H

#include <stddef.h>

#define PUBLIC __attribute__((visibility("default")))

void __chk_fail(void) __attribute__((noreturn)); /* libc's */

static inline size_t fits(size_t size, size_t room) {
	if (size > room)
		__chk_fail();
	return size;
}

#endif
