/*
 * The blocks of memory that is shared with children: of objects of their own, one for each process that maps such. A child has
 * its parent's, and goes on with another.
 */
#include "Blocks.h"

/* The object that new shared memory is in: one that this process has made; 0: none yet. Its blocks follow each other. */
static unsigned shared_object;
static uint64_t shared_end;
/* The first of its blocks that nobody else has: neither fork nor mremap has made a second mapping since. */
static uint64_t shared_own;
/* The process that these are of. */
static int owner;

void tagmem_share_blocks(void) { shared_own = shared_end; }

static int make_shared_object(void) {
	int process = (int)tagmem_call(SYS_getpid);
	/* A parent's object goes on to be what it was for its blocks, but the parent has new ones in it. */
	if (owner != process)
		shared_object = 0;
	owner = process;
	if (shared_object != 0)
		return 0;
	unsigned free = 1;
	while (free < tagmem_object_max && tagmem_objects[free].path[0] != 0)
		free++;
	if (free == tagmem_object_max)
		return ENOMEM;
	int error = tagmem_make_object(&tagmem_objects[free]);
	if (error) {
		tagmem_objects[free].path[0] = 0;
		return error == ENOSPC ? ENOMEM : error;
	}
	shared_object = free;
	shared_end = shared_own = 0;
	return 0;
}

int tagmem_take_shared(uint64_t count, struct tagmem_shared_blocks *blocks) {
	int error = make_shared_object();
	if (!error)
		error = tagmem_grow_object(&tagmem_objects[shared_object], (shared_end + count) * tagmem_block);
	if (error)
		return error;
	*blocks = (struct tagmem_shared_blocks){&tagmem_objects[shared_object], shared_end, count};
	shared_end += count;
	return 0;
}

void tagmem_give_shared(const struct tagmem_shared_blocks *blocks) {
	bool is_ours = owner == (int)tagmem_call(SYS_getpid) && blocks->object == &tagmem_objects[shared_object];
	if (shared_object != 0 && is_ours && blocks->first >= shared_own)
		tagmem_give_pages(blocks->object, blocks->first * tagmem_block, (blocks->first + blocks->count) * tagmem_block);
}

int tagmem_back_with(uint64_t start, uint64_t end, const struct tagmem_shared_blocks *blocks) {
	uint64_t first = start / tagmem_block, count = (end - 1) / tagmem_block - first + 1;
	unsigned object = (unsigned)(blocks->object - tagmem_objects);
	int error = tagmem_map_blocks(first, count, object, blocks->first);
	for (uint64_t i = 0; i < count && !error; i++)
		tagmem_set_entry(first + i, tagmem_entry_of(object, blocks->first + i));
	return error;
}

int tagmem_back_shared(uint64_t start, uint64_t end) {
	struct tagmem_shared_blocks blocks;
	int error = tagmem_take_shared((end - 1) / tagmem_block - start / tagmem_block + 1, &blocks);
	return error ? error : tagmem_back_with(start, end, &blocks);
}

int tagmem_back_like(uint64_t from, uint64_t to, uint64_t length) {
	tagmem_share_blocks();
	uint64_t source = from / tagmem_block, target = to / tagmem_block;
	uint64_t count = (to + length - 1) / tagmem_block - target + 1;
	int error = 0;
	for (uint64_t i = 0; i < count && !error; i++) {
		uint32_t entry = tagmem_entries[source + i];
		error = tagmem_map_blocks(target + i, 1, entry >> 24, tagmem_block_of_entry(entry));
		if (!error)
			tagmem_set_entry(target + i, entry);
	}
	return error;
}
