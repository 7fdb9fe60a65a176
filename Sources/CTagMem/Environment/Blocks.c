/*
 * Which object, and where in it, the blocks of the span are. All are where they are in the main object at first, beyond its
 * end as well. One that is mapped otherwise and then not used any more has nothing mapped, and is mapped anew when it is used.
 */
#include "Environment.h"

#include <fcntl.h>

enum { block_count = 1 << 23, is_nothing = 1, first_entry = 2 };

/* 0: the same offset of the main object. is_nothing. Otherwise the object in bits 31:24, and its block + first_entry. */
static uint32_t *entries;
/* From this block on all are 0, and were never otherwise. */
static uint64_t entry_end;
/* Blocks of the main object that are elsewhere in the span than at their offset. */
static uint8_t *is_taken;
/* The object that new shared memory is in: one that this process has made; 0: none yet. Its blocks follow each other. */
static unsigned shared_object;
static uint64_t shared_end;
/* The first of its blocks that nobody else has: neither fork nor mremap has made a second mapping since. */
static uint64_t shared_own;
/* The process that these are of. */
static int owner;

struct tagmem_object tagmem_objects[tagmem_object_max];

static struct tagmem_piece piece_of(const struct tagmem_span *span, uint64_t start, uint64_t end) {
	if (span != tagmem_environment)
		return (struct tagmem_piece){span->mem, start, end - start};
	struct tagmem_backing backing = tagmem_backing_of(start, end);
	return (struct tagmem_piece){backing.object != NULL ? backing.object->mem : -1, backing.offset, backing.length};
}

int tagmem_start_blocks(void) {
	long at = tagmem_call(SYS_mmap, 0, block_count * 5l, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (tagmem_call_failed(at))
		return (int)-at;
	tagmem_call(SYS_madvise, at, block_count * 5l, MADV_DONTDUMP);
	entries = (uint32_t *)at;
	is_taken = (uint8_t *)(entries + block_count);
	tagmem_piece_of = piece_of;
	return 0;
}

static void set_entry(uint64_t block, uint32_t entry) {
	entries[block] = entry;
	if (entry != 0 && block >= entry_end)
		entry_end = block + 1;
}

static uint32_t entry_of(unsigned object, uint64_t block) { return object << 24 | (uint32_t)(block + first_entry); }

struct tagmem_backing tagmem_backing_of(uint64_t offset, uint64_t end) {
	struct tagmem_backing place = {NULL, 0, 0};
	uint64_t block = offset / tagmem_block, within = offset % tagmem_block;
	uint32_t entry = entries[block];
	uint64_t next = block + 1, last = (end - 1) / tagmem_block;
	if (entry >= first_entry) {
		place.object = &tagmem_objects[entry >> 24];
		place.offset = ((entry & 0xffffff) - first_entry) * (uint64_t)tagmem_block + within;
		while (next <= last && entries[next] == entry + (next - block))
			next++;
	} else {
		if (entry == 0) {
			place.object = &tagmem_objects[0];
			place.offset = offset;
		}
		while (next <= last && next < entry_end && entries[next] == entry)
			next++;
		if (entry == 0 && next >= entry_end)
			next = last + 1;
	}
	place.length = (next * tagmem_block < end ? next * tagmem_block : end) - offset;
	return place;
}

/* MARK: Mapping */

static uintptr_t alias(unsigned tag, uint64_t offset) {
	return tagmem_environment->base + tag * TAGMEM_OBJECT_MAX + offset;
}

static int map_file(void *at, uint64_t length, int protection, int file, uint64_t offset) {
	long result = tagmem_call(SYS_mmap, at, length, protection, MAP_FIXED | MAP_SHARED | MAP_NORESERVE, file, offset);
	return tagmem_call_failed(result) ? (int)-result : 0;
}

static int map_view(unsigned tag, uint64_t start, uint64_t length, const struct tagmem_object *object, uint64_t offset) {
	char name[] = {'v', 'i', 'e', 'w', 's', '/', "0123456789abcdef"[tag], 0};
	long file = tagmem_call(SYS_openat, object->directory, name, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return (int)-file;
	int error = map_file((void *)alias(tag, start), length, PROT_NONE, (int)file, offset);
	tagmem_call(SYS_close, file);
	return error;
}

/* The plain alias first, as the others are copies of its mapping: to map the file again would take its pages out of the
 * kernel's cache. The aliases are closed until something is mapped there. */
static int map_plain_and_aliases(uint64_t start, uint64_t length, const struct tagmem_object *object, uint64_t offset) {
	char *plain = tagmem_environment->plain + start;
	bool has_views = (tagmem_environment->flags & TAGMEM_VIEWS) != 0;
	int error = map_file(plain, length, PROT_NONE, object->mem, offset);
	for (unsigned tag = 0; tag < 16 && !error; tag++) {
		if (has_views) {
			error = map_view(tag, start, length, object, offset);
			continue;
		}
		long result = tagmem_call(SYS_mremap, plain, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, alias(tag, start));
		error = tagmem_call_failed(result) ? (int)-result : 0;
	}
	if (!error)
		error = (int)-tagmem_call(SYS_mprotect, plain, length, PROT_READ | PROT_WRITE);
	return error;
}

static int map_tags(uint64_t start, uint64_t length, const struct tagmem_object *object, uint64_t offset) {
	int protection = tagmem_environment->flags & TAGMEM_VIEWS ? PROT_READ : PROT_READ | PROT_WRITE;
	return map_file(tagmem_environment->tags + start / 32, length / 32, protection, object->tags, offset / 32);
}

static int map_blocks(uint64_t block, uint64_t count, unsigned object, uint64_t at) {
	uint64_t start = block * tagmem_block, length = count * tagmem_block, offset = at * tagmem_block;
	int error = map_plain_and_aliases(start, length, &tagmem_objects[object], offset);
	return error ? error : map_tags(start, length, &tagmem_objects[object], offset);
}

/* Nothing, whose tags read as 0. */
static void map_nothing(uint64_t block, uint64_t count) {
	uint64_t start = block * tagmem_block, length = count * tagmem_block;
	int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	for (unsigned tag = 0; tag < 16; tag++)
		tagmem_call(SYS_mmap, alias(tag, start), length, PROT_NONE, flags, -1, 0);
	tagmem_call(SYS_mmap, tagmem_environment->plain + start, length, PROT_NONE, flags, -1, 0);
	tagmem_call(SYS_mmap, tagmem_environment->tags + start / 32, length / 32, PROT_READ, flags, -1, 0);
}

int tagmem_restore_pages(uint64_t start, uint64_t end) {
	int error = 0;
	while (start < end && !error) {
		struct tagmem_backing place = tagmem_backing_of(start, end);
		if (place.object != NULL)
			error = map_plain_and_aliases(start, place.length, place.object, place.offset);
		start += place.length;
	}
	return error;
}

int tagmem_restore_tags(uint64_t start, uint64_t end) {
	int error = 0;
	while (start < end && !error) {
		struct tagmem_backing backing = tagmem_backing_of(start, end);
		if (backing.object != NULL)
			error = map_tags(start, backing.length, backing.object, backing.offset);
		start += backing.length;
	}
	return error;
}

/* MARK: Private memory */

/* Whether any page of it is mapped. */
static bool is_used(uint64_t block) {
	static const uint8_t none[tagmem_block / tagmem_page];
	return memcmp(tagmem_environment->pages + block * sizeof none, none, sizeof none) != 0;
}

/* What is mapped at its offset in the span later, and cannot be accessed, has no memory: above all not this. */
static void take(uint64_t block) {
	is_taken[block] = 1;
	if (entries[block] == 0)
		entries[block] = is_nothing;
}

/* A block of the main object for use elsewhere: the last one that is free, else a new one behind its end. */
static int take_block(uint64_t *taken) {
	struct tagmem_object *main = &tagmem_objects[0];
	for (uint64_t block = main->size / tagmem_block; block-- > 0;) {
		if (!is_taken[block] && (entries[block] != 0 || !is_used(block))) {
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
	if (entries[block] >= first_entry)
		return 0;
	int error = 0;
	uint64_t at = block;
	if (may_be_own && !is_taken[block]) {
		error = tagmem_grow_object(&tagmem_objects[0], (block + 1) * tagmem_block);
		if (error || entries[block] == 0)
			return error;
	} else {
		error = take_block(&at);
	}
	if (!error)
		error = map_blocks(block, 1, 0, at);
	if (!error)
		set_entry(block, at == block ? 0 : entry_of(0, at));
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

/* MARK: Shared memory */

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
	int error = map_blocks(first, count, object, blocks->first);
	for (uint64_t i = 0; i < count && !error; i++)
		set_entry(first + i, entry_of(object, blocks->first + i));
	return error;
}

int tagmem_back_shared(uint64_t start, uint64_t end) {
	struct tagmem_shared_blocks blocks;
	int error = tagmem_take_shared((end - 1) / tagmem_block - start / tagmem_block + 1, &blocks);
	return error ? error : tagmem_back_with(start, end, &blocks);
}

int tagmem_map_foreign_pages(uint64_t start, uint64_t end, int fd, uint64_t offset) {
	char *plain = tagmem_environment->plain + start;
	uint64_t length = end - start;
	int error = map_file(plain, length, PROT_NONE, fd, offset);
	for (unsigned tag = 0; tag < 16 && !error; tag++) {
		long result = tagmem_call(SYS_mremap, plain, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, alias(tag, start));
		error = tagmem_call_failed(result) ? (int)-result : 0;
	}
	/* It may be open for reading only. */
	if (!error && tagmem_call(SYS_mprotect, plain, length, PROT_READ | PROT_WRITE) != 0)
		error = (int)-tagmem_call(SYS_mprotect, plain, length, PROT_READ);
	return error;
}

int tagmem_back_like(uint64_t from, uint64_t to, uint64_t length) {
	tagmem_share_blocks();
	uint64_t source = from / tagmem_block, target = to / tagmem_block;
	uint64_t count = (to + length - 1) / tagmem_block - target + 1;
	int error = 0;
	for (uint64_t i = 0; i < count && !error; i++) {
		uint32_t entry = entries[source + i];
		error = map_blocks(target + i, 1, entry >> 24, (entry & 0xffffff) - first_entry);
		if (!error)
			set_entry(target + i, entry);
	}
	return error;
}

/* MARK: What blocks are used for */

/* A file's pages are there, which may become shared memory. */
static bool may_get_shared(uint64_t block) {
	bool may = false;
	for (uint64_t at = block * tagmem_block; tagmem_has_foreign() && at < (block + 1) * tagmem_block; at += tagmem_page)
		may |= (tagmem_notes_of(at) & tagmem_may_get_tags) != 0;
	return may;
}

uint64_t tagmem_conflict(uint64_t start, uint64_t end, bool is_shared) {
	for (uint64_t block = start / tagmem_block; block * tagmem_block < end; block++) {
		bool has_shared = (entries[block] >= first_entry && entries[block] >> 24 != 0) || may_get_shared(block);
		if (is_shared ? is_used(block) : has_shared && is_used(block))
			return (block + 1) * tagmem_block;
	}
	return 0;
}

void tagmem_release_blocks(uint64_t start, uint64_t end) {
	for (uint64_t block = start / tagmem_block; block * tagmem_block < end; block++) {
		uint32_t entry = entries[block];
		if (entry < first_entry || is_used(block))
			continue;
		uint64_t at = (entry & 0xffffff) - first_entry;
		struct tagmem_shared_blocks shared = {&tagmem_objects[entry >> 24], at, 1};
		if (entry >> 24 == 0)
			is_taken[at] = 0;
		else if (!tagmem_is_adopted(shared.object, at * tagmem_block))
			tagmem_give_shared(&shared);
		map_nothing(block, 1);
		set_entry(block, is_nothing);
	}
}

void tagmem_share_blocks(void) { shared_own = shared_end; }
