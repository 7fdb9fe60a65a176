/*
 * The blocks of private memory: of the main object, at the same offset if that is in use already or next, so that the
 * object is not larger than what is used.
 */
#include "Blocks.h"

/* What is mapped at its offset in the span later, and cannot be accessed, has no memory: above all not this. */
static void take(uint64_t block) {
	tagmem_is_taken[block] = 1;
	if (tagmem_entries[block] == 0)
		tagmem_set_entry(block, tagmem_is_nothing);
}

/* A block of the main object for use elsewhere: the last one that is free, else a new one behind its end. */
static int take_block(uint64_t *taken) {
	struct tagmem_object *main = &tagmem_objects[0];
	for (uint64_t block = main->size / tagmem_block; block-- > 0;) {
		if (!tagmem_is_taken[block] && (tagmem_entries[block] != 0 || !tagmem_is_block_used(block))) {
			*taken = block;
			take(block);
			return 0;
		}
	}
	uint64_t block = main->size / tagmem_block;
	int error = tagmem_grow_object(main, (block + 1) * tagmem_block);
	if (!error) {
		*taken = block;
		take(block);
	}
	return error;
}

/* Whether a range may be at its own offset of the main object: what has to be added to it is what the range needs, or
 * little more. */
static bool is_near(uint64_t start) { return start <= tagmem_objects[0].size + (1 << 20); }

static int back_block(uint64_t block, bool may_be_own) {
	if (tagmem_entries[block] >= tagmem_first_entry)
		return 0;
	int error = 0;
	uint64_t at = block;
	if (may_be_own && !tagmem_is_taken[block]) {
		error = tagmem_grow_object(&tagmem_objects[0], (block + 1) * tagmem_block);
		if (error || tagmem_entries[block] == 0)
			return error;
	} else {
		error = take_block(&at);
	}
	if (!error)
		error = tagmem_map_blocks(block, 1, 0, at);
	if (!error)
		tagmem_set_entry(block, at == block ? 0 : tagmem_entry_of(0, at));
	return error;
}

int tagmem_back_private(uint64_t start, uint64_t end) {
	uint64_t first = start / tagmem_block, last = (end - 1) / tagmem_block;
	bool may_be_own = is_near(start);
	/* At once, if the device has it. */
	if (may_be_own && end > tagmem_objects[0].size)
		tagmem_grow_object(&tagmem_objects[0], end);
	int error = 0;
	for (uint64_t block = first; block <= last && !error; block++)
		error = back_block(block, may_be_own || block * tagmem_block < tagmem_objects[0].size);
	return error;
}
