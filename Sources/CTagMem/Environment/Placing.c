/* Where a new mapping goes. */
#include "Environment.h"

bool tagmem_is_free(uint64_t start, uint64_t end, bool is_shared) {
	unsigned bits;
	return start < end && end <= TAGMEM_OBJECT_MAX && tagmem_run_of(start, end, &bits) == end && bits == 0 &&
	       (!is_shared || start % tagmem_block == 0) && tagmem_conflict(start, end, is_shared) == 0;
}

bool tagmem_place(const struct tagmem_wish *wish, uint64_t *start) {
	uint64_t alignment = wish->is_shared && wish->alignment < tagmem_block ? tagmem_block : wish->alignment;
	uint64_t length = wish->is_shared ? tagmem_round_up(wish->length, tagmem_block) : wish->length;
	uint64_t from = wish->is_huge ? TAGMEM_OBJECT_MAX / 2 : 0, room;
	if (length > TAGMEM_OBJECT_MAX)
		return false;
	while (tagmem_find_room(tagmem_environment, from, TAGMEM_OBJECT_MAX, length, &room)) {
		uint64_t at = tagmem_round_up(room, alignment);
		if (at != room) {
			from = at;
			continue;
		}
		uint64_t conflict = tagmem_conflict(at, at + length, wish->is_shared);
		if (conflict == 0) {
			*start = at;
			return true;
		}
		from = conflict;
	}
	return false;
}
