/*
 * The check that instrumented code and the functions of libc here make: the tag of every granule against the pointer's.
 * It knows of the rest of libtagmem only where the tags are, and whom to ask when they differ.
 */
#ifndef TAGMEM_CHECK_H
#define TAGMEM_CHECK_H

#include <stdatomic.h>

#include "../internal.h"

/* Where the tags of an address are, or NULL: it is in no span that instrumented code checks. Pointers that are not
 * canonical are none: whoever uses one comes to the trap anyway. */
static inline const uint8_t *tags_of(uintptr_t address) {
	uintptr_t span = address >> TAGMEM_SPAN_SHIFT;
	if (__builtin_expect(span >= tagmem_span_count, 0))
		return NULL;
	return atomic_load_explicit(&tagmem_tags_of_span[span], memory_order_relaxed);
}

/* Whether a granule has another tag than the pointer. `tags` is that of the span. */
static inline bool mismatches(const uint8_t *tags, uintptr_t address) {
	unsigned both = tags[(address & (TAGMEM_OBJECT_MAX - 1)) >> 5];
	return ((both >> (address >> 2 & 4)) ^ (address >> TAGMEM_TAG_SHIFT)) & 0xf;
}

/* The first byte of a range whose granule mismatches, or `end`. */
__attribute__((visibility("hidden"))) uintptr_t tagmem_first_mismatch_between(const uint8_t *tags, uintptr_t start,
									      uintptr_t end);

/* How many bytes from `address` on a function of libc may access: all `size` if none must fault. Otherwise it has faulted,
 * by an access to the first bad byte; and where that did not end it (a handler skipped the access), the bytes before. */
__attribute__((visibility("hidden"))) size_t tagmem_check_range(const uint8_t *tags, uintptr_t address, size_t size,
								bool is_store);

static inline bool begins_granule(const char *at) { return !((uintptr_t)at & (TAGMEM_GRANULE - 1)); }

static inline size_t may_load(const void *address, size_t size) {
	const uint8_t *tags = tags_of((uintptr_t)address);
	return __builtin_expect(!tags, 1) ? size : tagmem_check_range(tags, (uintptr_t)address, size, false);
}

static inline size_t may_store(const void *address, size_t size) {
	const uint8_t *tags = tags_of((uintptr_t)address);
	return __builtin_expect(!tags, 1) ? size : tagmem_check_range(tags, (uintptr_t)address, size, true);
}

#endif
