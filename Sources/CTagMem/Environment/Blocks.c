/*
 * Which object, and where in it, the blocks of the span are. All are where they are in the main object at first, beyond its
 * end as well. One that is mapped otherwise and then not used any more has nothing mapped, and is mapped anew when it is used.
 */
#include "Blocks.h"

uint32_t *tagmem_entries;
uint8_t *tagmem_is_taken;
/* From this block on all are 0, and were never otherwise. */
static uint64_t entry_end;
struct tagmem_object tagmem_objects[tagmem_object_max];

static struct tagmem_piece piece_of(const struct tagmem_span *span, uint64_t start, uint64_t end) {
	if (span != tagmem_environment)
		return (struct tagmem_piece){span->mem, start, end - start};
	struct tagmem_backing backing = tagmem_backing_of(start, end);
	return (struct tagmem_piece){backing.object != NULL ? backing.object->mem : -1, backing.offset, backing.length};
}

int tagmem_start_blocks(void) {
	long at = tagmem_call(SYS_mmap, 0, tagmem_block_count * 5l, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (tagmem_call_failed(at))
		return (int)-at;
	tagmem_call(SYS_madvise, at, tagmem_block_count * 5l, MADV_DONTDUMP);
	tagmem_entries = (uint32_t *)at;
	tagmem_is_taken = (uint8_t *)(tagmem_entries + tagmem_block_count);
	tagmem_piece_of = piece_of;
	return 0;
}

void tagmem_set_entry(uint64_t block, uint32_t entry) {
	tagmem_entries[block] = entry;
	if (entry != 0 && block >= entry_end)
		entry_end = block + 1;
}

struct tagmem_backing tagmem_backing_of(uint64_t offset, uint64_t end) {
	struct tagmem_backing place = {NULL, 0, 0};
	uint64_t block = offset / tagmem_block, within = offset % tagmem_block;
	uint32_t entry = tagmem_entries[block];
	uint64_t next = block + 1, last = (end - 1) / tagmem_block;
	if (entry >= tagmem_first_entry) {
		place.object = &tagmem_objects[entry >> 24];
		place.offset = tagmem_block_of_entry(entry) * (uint64_t)tagmem_block + within;
		while (next <= last && tagmem_entries[next] == entry + (next - block))
			next++;
	} else {
		if (entry == 0) {
			place.object = &tagmem_objects[0];
			place.offset = offset;
		}
		while (next <= last && next < entry_end && tagmem_entries[next] == entry)
			next++;
		if (entry == 0 && next >= entry_end)
			next = last + 1;
	}
	place.length = (next * tagmem_block < end ? next * tagmem_block : end) - offset;
	return place;
}

/* A file's pages are there, which may become shared memory. */
static bool may_get_shared(uint64_t block) {
	bool may = false;
	for (uint64_t at = block * tagmem_block; tagmem_has_foreign() && at < (block + 1) * tagmem_block; at += tagmem_page)
		may |= (tagmem_notes_of(at) & tagmem_may_get_tags) != 0;
	return may;
}

uint64_t tagmem_conflict(uint64_t start, uint64_t end, bool is_shared) {
	for (uint64_t block = start / tagmem_block; block * tagmem_block < end; block++) {
		bool is_of_object = tagmem_entries[block] >= tagmem_first_entry && tagmem_entries[block] >> 24 != 0;
		bool has_shared = is_of_object || may_get_shared(block);
		if (is_shared ? tagmem_is_block_used(block) : has_shared && tagmem_is_block_used(block))
			return (block + 1) * tagmem_block;
	}
	return 0;
}

void tagmem_release_blocks(uint64_t start, uint64_t end) {
	for (uint64_t block = start / tagmem_block; block * tagmem_block < end; block++) {
		uint32_t entry = tagmem_entries[block];
		if (entry < tagmem_first_entry || tagmem_is_block_used(block))
			continue;
		uint64_t at = tagmem_block_of_entry(entry);
		struct tagmem_shared_blocks shared = {&tagmem_objects[entry >> 24], at, 1};
		if (entry >> 24 == 0)
			tagmem_is_taken[at] = 0;
		else if (!tagmem_is_adopted(shared.object, at * tagmem_block))
			tagmem_give_shared(&shared);
		tagmem_map_nothing(block, 1);
		tagmem_set_entry(block, tagmem_is_nothing);
	}
}
