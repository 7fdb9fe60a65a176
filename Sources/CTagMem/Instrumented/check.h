/*
 * The check that instrumented code and the functions of libc here make: the tag of every granule against the pointer's.
 * It knows of the rest of libtagmem only where the tags are, and whom to ask when they differ.
 */
#ifndef TAGMEM_CHECK_H
#define TAGMEM_CHECK_H

#include "../internal.h"

#pragma GCC visibility push(hidden)

/* Where the tags of an address are, or NULL: it is in no span. Pointers that are not canonical are in none: whoever uses
 * one comes to the trap anyway. */
static inline const uint8_t *tags_of(uintptr_t address) {
	uintptr_t span = address >> TAGMEM_SPAN_SHIFT;
	if (__builtin_expect(span >= TAGMEM_SPANS, 0))
		return NULL;
	return __atomic_load_n(&tagmem_tags_of_span[span], __ATOMIC_RELAXED);
}

/* The first byte of a range whose granule has another tag than `start`, or `end`; also where the tags are gone, as then the
 * memory is, too. */
uintptr_t tagmem_first_mismatch_between(const uint8_t *tags, uintptr_t start, uintptr_t end);

/* How many bytes from `address` on a function of libc may access: all `size` if none must fault. Otherwise it has faulted,
 * by an access to the first bad byte; and where that did not end it (a handler skipped the access), the bytes before. */
size_t tagmem_check_range(const uint8_t *tags, uintptr_t address, size_t size, bool is_store);

static inline bool begins_granule(const char *at) { return !((uintptr_t)at & (TAGMEM_GRANULE - 1)); }

static inline size_t may_load(const void *address, size_t size) {
	const uint8_t *tags = tags_of((uintptr_t)address);
	return __builtin_expect(!tags, 1) ? size : tagmem_check_range(tags, (uintptr_t)address, size, false);
}

static inline size_t may_store(const void *address, size_t size) {
	const uint8_t *tags = tags_of((uintptr_t)address);
	return __builtin_expect(!tags, 1) ? size : tagmem_check_range(tags, (uintptr_t)address, size, true);
}

#pragma GCC visibility pop

#endif
