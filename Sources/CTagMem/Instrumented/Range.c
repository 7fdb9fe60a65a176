/*
 * The tags of a range against one tag, and the fault of a function of libc that must not access it.
 */
#include "check.h"

typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_word;

uintptr_t tagmem_first_mismatch_between(const uint8_t *tags, uintptr_t start, uintptr_t end) {
	/* Sixteen granules have eight bytes of tags, two have one. */
	const uintptr_t of_word = 16 * TAGMEM_GRANULE;
	uint64_t wanted = (start >> TAGMEM_TAG_SHIFT & 0xf) * 0x1111111111111111;
	uintptr_t address = start;
	while (address < end) {
		const uint8_t *at = tags + ((address & (TAGMEM_OBJECT_MAX - 1)) >> 5);
		if (!(address & 31) && end - address >= of_word && *(const unaligned_word *)at == wanted) {
			address += of_word;
			continue;
		}
		if (mismatches(tags, address))
			return address;
		address = (address | (TAGMEM_GRANULE - 1)) + 1;
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
	uintptr_t at = address;
	while (at < end) {
		uintptr_t next = (at | (tagmem_page - 1)) + 1;
		if (next > end)
			next = end;
		uintptr_t bad = tagmem_first_mismatch_between(tags, at, next);
		if (bad < next) {
			if (!fault(bad, is_store))
				return size;
			if (mismatches(tags, bad))
				return bad - address;
		}
		/* Behind the object's end tags seem to be 0: the bytes are not there either. */
		if (at != address)
			*(const volatile char *)at;
		at = bad;
	}
	return size;
}
