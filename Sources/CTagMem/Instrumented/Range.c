/*
 * The tags of a range against one tag, and the fault of a function of libc that must not access it.
 */
#include "check.h"

typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_word;

/* The tags of a page are in one page: so they are there or gone together. */
static uintptr_t first_in_page(const uint8_t *tags, uintptr_t start, uintptr_t end) {
	const uint8_t *of_alias = tags - ((start & -TAGMEM_OBJECT_MAX) >> 5);
	const uintptr_t of_word = 16 * TAGMEM_GRANULE; /* two granules have a byte */
	unsigned wanted = start >> TAGMEM_TAG_SHIFT & 0xf;
	if (tagmem_touch_load(of_alias + (start >> 5)) < 0)
		return end;
	for (uintptr_t at = start; at < end;) {
		const uint8_t *both = of_alias + (at >> 5);
		if (!(at & 31) && end - at >= of_word && *(const unaligned_word *)both == wanted * 0x1111111111111111)
			at += of_word;
		else if ((unsigned)(*both >> (at >> 2 & 4) & 0xf) != wanted)
			return at;
		else
			at = (at | (TAGMEM_GRANULE - 1)) + 1;
	}
	return end;
}

static inline uintptr_t end_of_page(uintptr_t at, uintptr_t end) {
	uintptr_t next = (at | (tagmem_page - 1)) + 1;
	return next < end ? next : end;
}

uintptr_t tagmem_first_mismatch_between(const uint8_t *tags, uintptr_t start, uintptr_t end) {
	while (start < end) {
		uintptr_t next = end_of_page(start, end), found = first_in_page(tags, start, next);
		if (found < next)
			return found;
		start = next;
	}
	return end;
}

/* An access of one byte that must fault, and changes nothing if it does not any more. */
static __attribute__((noinline)) bool fault(uintptr_t address, bool is_store) {
	if (!tagmem_mismatch(address, 1, is_store, (uintptr_t)&fault))
		return false;
	if (is_store)
		__asm__ volatile("lock orb $0, (%0)" : : "r"(address) : "memory", "cc");
	else
		__asm__ volatile("testb $0, (%0)" : : "r"(address) : "memory", "cc");
	return true;
}

size_t tagmem_check_range(const uint8_t *tags, uintptr_t address, size_t size, bool is_store) {
	/* A size that is a negative number does not lead out of the alias. */
	uintptr_t limit = (address | (TAGMEM_OBJECT_MAX - 1)) + 1;
	uintptr_t end = size < limit - address ? address + size : limit;
	for (uintptr_t at = address; at < end;) {
		uintptr_t next = end_of_page(at, end), bad = first_in_page(tags, at, next);
		if (bad < next) {
			if (!fault(bad, is_store))
				return size;
			if (first_in_page(tags, bad, bad + 1) == bad)
				return bad - address;
		}
		/* Where the tags are gone there are no bytes either: no need to look at all of a range that is far too large. */
		if (at != address)
			*(const volatile char *)at;
		at = bad;
	}
	return size;
}
