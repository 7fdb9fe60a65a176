/*
 * Strings, read granule by granule: each is checked before it is read, and none behind the last byte that counts. A
 * granule is what one aligned load of 16 bytes reads.
 */
#ifndef TAGMEM_SCAN_H
#define TAGMEM_SCAN_H

#include <emmintrin.h>

#include "check.h"

/* The bytes of *at's granule from *at on that equal `value` or 0 (`both`), as bits from bit 0 on; *count is how many bytes
 * there are, 0 if they must not be read. */
static inline unsigned scan_granule(const char *at, char value, bool both, size_t *count) {
	size_t skipped = (uintptr_t)at & (TAGMEM_GRANULE - 1);
	*count = TAGMEM_GRANULE - skipped;
	if (may_load(at, 1) == 0) {
		*count = 0;
		return 0;
	}
	__m128i bytes = _mm_load_si128((const __m128i *)(at - skipped));
	__m128i found = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(value));
	if (both)
		found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
	return (unsigned)_mm_movemask_epi8(found) >> skipped;
}

/* Whether one of the first `limit` bytes equals `value` (or is 0, if `both`); *length is how many come before it. Where it
 * must not read on, and a handler has skipped the fault, none is found. */
static inline bool scan(const char *string, char value, bool both, size_t limit, size_t *length) {
	for (*length = 0; *length < limit;) {
		size_t count;
		unsigned found = scan_granule(string + *length, value, both, &count);
		if (found) {
			*length += (size_t)__builtin_ctz(found);
			if (*length < limit)
				return true;
			break;
		}
		if (count == 0)
			return false;
		*length += count;
	}
	*length = limit;
	return false;
}

static inline size_t length_up_to(const char *string, size_t limit) {
	size_t length;
	scan(string, 0, false, limit, &length);
	return length;
}

static inline size_t checked_length(const char *string) { return length_up_to(string, SIZE_MAX); }

#endif
