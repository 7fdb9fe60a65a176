/*
 * An access that a callback cannot tell at once to be legal.
 */
#include "check.h"

extern const char tagmem_callbacks_begin[], tagmem_callbacks_end[];

__attribute__((constructor)) static void announce(void) {
	tagmem_add_leaves(tagmem_callbacks_begin, tagmem_callbacks_end);
}

/* The callback has jumped here: so the return address is its. */
__attribute__((visibility("hidden"))) void tagmem_check_access(uintptr_t address, size_t size, bool is_store) {
	const uint8_t *tags = tags_of(address);
	if (tags && tagmem_first_mismatch_between(tags, address, address + size) < address + size)
		tagmem_mismatch(address, size, is_store, (uintptr_t)__builtin_return_address(0));
}
