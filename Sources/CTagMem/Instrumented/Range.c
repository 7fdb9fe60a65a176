/*
 * The tags of a range against one tag, eight bytes of tags at a time.
 */
#include <string.h>

#include "check.h"

uintptr_t tagmem_first_mismatch_between(const uint8_t *tags, uintptr_t start, uintptr_t end) {
	uint64_t wanted = (start >> TAGMEM_TAG_SHIFT & 0xf) * 0x1111111111111111;
	uintptr_t address = start;
	while (address < end) {
		/* A pair of granules has a byte of tags. */
		uintptr_t pairs = ((end - 1) >> 5) - (address >> 5) + 1;
		const uint8_t *at = tags + ((address & (TAGMEM_OBJECT_MAX - 1)) >> 5);
		uint64_t word;
		if (pairs >= sizeof word && !(address & 31)) {
			memcpy(&word, at, sizeof word);
			if (word == wanted) {
				address += 32 * sizeof word;
				continue;
			}
		}
		if (mismatches(tags, address))
			return address;
		address = (address | (TAGMEM_GRANULE - 1)) + 1;
	}
	return end;
}
