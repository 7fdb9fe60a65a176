/* The mappings of blocks and pages: the plain alias, the sixteen, and the tags. */
#include "Blocks.h"

#include <fcntl.h>

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

int tagmem_map_blocks(uint64_t block, uint64_t count, unsigned object, uint64_t at) {
	uint64_t start = block * tagmem_block, length = count * tagmem_block, offset = at * tagmem_block;
	int error = map_plain_and_aliases(start, length, &tagmem_objects[object], offset);
	return error ? error : map_tags(start, length, &tagmem_objects[object], offset);
}

void tagmem_map_nothing(uint64_t block, uint64_t count) {
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

/* MARK: Of other files */

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
