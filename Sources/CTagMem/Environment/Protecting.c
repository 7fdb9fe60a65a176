/* mprotect and kin: what is in the span here, all else by the kernel. */
#include "Mapping.h"

enum {
	known_protection = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_MTE | 8 /* PROT_SEM */,
};

static int protect(uint64_t start, size_t length, int protection) {
	if (start % tagmem_page != 0 || protection & ~known_protection)
		return EINVAL;
	if (length == 0)
		return 0;
	if (length > TAGMEM_OBJECT_MAX - start)
		return ENOMEM;
	tagmem_lock_environment();
	uint64_t end = start + tagmem_round_up(length, tagmem_page);
	int error = tagmem_cuts_huge_page(start, end) ? EINVAL : tagmem_protect_range(start, end, protection);
	tagmem_unlock_environment();
	return error;
}

TAGMEM_EXPORT int mprotect(void *address, size_t length, int protection) {
	tagmem_deliver_deferred();
	uint64_t start;
	if (tagmem_environment != NULL && tagmem_in_environment(address, &start))
		return (int)tagmem_result(-protect(start, length, protection));
	/* There are no tags elsewhere. */
	if (tagmem_environment != NULL && protection & PROT_MTE)
		return (int)tagmem_result(-EINVAL);
	return (int)tagmem_result(tagmem_call(SYS_mprotect, address, length, protection));
}

TAGMEM_EXPORT int pkey_mprotect(void *address, size_t length, int protection, int key) {
	uint64_t start;
	if (tagmem_environment == NULL || !tagmem_in_environment(address, &start))
		return (int)tagmem_result(tagmem_call(SYS_pkey_mprotect, address, length, protection, key));
	if (key != -1)
		return (int)tagmem_result(-EINVAL);
	return mprotect(address, length, protection);
}
