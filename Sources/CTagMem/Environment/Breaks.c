/*
 * brk and sbrk: the program's heap is in the span, so that it can have tags. libc's own malloc has the kernel's.
 */
#include "Mapping.h"

#include <unistd.h>

/* Address space that nothing else gets. */
static const uint64_t room = (uint64_t)4 << 30;
static uint64_t first, now; /* offsets; 0, 0: not asked for yet */
static bool is_there;

/* The caller holds the lock. */
static int reserve(void) {
	struct tagmem_wish wish = {room, tagmem_page, false, true};
	if (is_there)
		return 0;
	if (!tagmem_place(&wish, &first))
		return ENOMEM;
	int error = tagmem_map_range(first, first + room, PROT_NONE, false, false);
	now = first;
	is_there = !error;
	return error;
}

static int move_to(uint64_t wanted) {
	uint64_t old = tagmem_round_up(now, tagmem_page), new = tagmem_round_up(wanted, tagmem_page);
	int error = 0;
	if (wanted < first || wanted > first + room)
		return ENOMEM;
	if (new > old)
		error = tagmem_protect_range(old, new, PROT_READ | PROT_WRITE);
	else if (new < old)
		error = tagmem_unmap_range(new, old);
	/* PROT_MTE does not stay. */
	if (!error && new < old)
		error = tagmem_map_range(new, old, PROT_NONE, false, false);
	if (!error)
		now = wanted;
	return error;
}

TAGMEM_EXPORT void *sbrk(intptr_t increment) {
	tagmem_deliver_deferred();
	if (tagmem_environment == NULL) {
		extern void *__sbrk(intptr_t);
		return __sbrk(increment);
	}
	tagmem_lock_environment();
	int error = reserve();
	uint64_t before = now;
	if (!error && increment != 0)
		error = move_to(now + (uint64_t)increment);
	tagmem_unlock_environment();
	return error ? (void *)tagmem_result(-error) : tagmem_address_at(before);
}

TAGMEM_EXPORT int brk(void *address) {
	tagmem_deliver_deferred();
	uint64_t wanted;
	if (tagmem_environment == NULL) {
		extern void *__sbrk(intptr_t);
		void *current = __sbrk(0);
		return __sbrk((char *)address - (char *)current) == (void *)-1 ? -1 : 0;
	}
	/* An address with a tag is none of the heap's, as on Linux. */
	if (!tagmem_in_environment(address, &wanted) || address != tagmem_address_at(wanted))
		return (int)tagmem_result(-ENOMEM);
	tagmem_lock_environment();
	int error = reserve();
	if (!error)
		error = move_to(wanted);
	tagmem_unlock_environment();
	return (int)tagmem_result(-error);
}
