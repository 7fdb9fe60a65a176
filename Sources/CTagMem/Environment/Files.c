/*
 * Files in the span: those with PROT_MTE, and others where the program wants them at an address there. A private mapping is a
 * copy of the contents that they have then.
 */
#include "Files.h"

/* What the kernel says of the mapping, elsewhere: 0 or an errno. */
static int try(size_t length, int protection, int flags, int fd, off_t offset) {
	int kept = flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE | MAP_LOCKED);
	long at = tagmem_call(SYS_mmap, NULL, length, protection & ~PROT_MTE, kept, fd, offset);
	if (tagmem_call_failed(at))
		return (int)-at;
	tagmem_call(SYS_munmap, at, length);
	return 0;
}

static bool is_shared(int flags) { return (flags & MAP_TYPE) != MAP_PRIVATE; }

static int read_file(int fd, uint64_t start, uint64_t end, off_t offset) {
	char *plain = tagmem_environment->plain;
	while (start < end) {
		long count = tagmem_call(SYS_pread64, fd, plain + start, end - start, offset);
		if (count == -EINTR)
			continue;
		/* What is behind the file's end is zero. */
		if (count <= 0)
			return (int)-count;
		start += (uint64_t)count;
		offset += count;
	}
	return 0;
}

static int map_copy(uint64_t start, uint64_t end, int protection, int fd, off_t offset) {
	bool is_adopted = tagmem_is_file_adopted(fd);
	/* It is written before the program may look. */
	int error = tagmem_map_range(start, end, PROT_READ | (protection & PROT_MTE), false, true);
	if (!error)
		error = is_adopted ? tagmem_copy_adopted(fd, start, end, (uint64_t)offset) : read_file(fd, start, end, offset);
	if (!error)
		error = tagmem_protect_range(start, end, protection);
	if (error)
		tagmem_unmap_range(start, end);
	return error;
}

static int map_adopted(uint64_t start, uint64_t end, int protection, int fd, off_t offset) {
	int error = tagmem_adopt_file(fd, start, end, (uint64_t)offset);
	return error ? error : tagmem_map_backed_range(start, end, protection);
}

/* Where it goes: 0 or an errno. Memory of a file is in the same place of a block as in the file. */
static int place(const void *address, uint64_t length, int flags, bool has_blocks, off_t offset, uint64_t *start) {
	uint64_t within = has_blocks ? (uint64_t)offset % tagmem_block : 0;
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
		struct tagmem_wish wish = {length + within, tagmem_page, has_blocks, false};
		if (!tagmem_place(&wish, start))
			return ENOMEM;
		*start += within;
		return 0;
	}
	if ((uintptr_t)address % tagmem_page != 0)
		return EINVAL;
	if (!tagmem_in_environment(address, start) || address != tagmem_address_at(*start) ||
	    length > TAGMEM_OBJECT_MAX - *start)
		return ENOMEM;
	if ((flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE && !tagmem_is_free(*start, *start + length, false))
		return EEXIST;
	int error = tagmem_unmap_range(*start, *start + length);
	if (error)
		return error;
	bool fits = !has_blocks ? tagmem_is_free(*start, *start + length, false)
				: *start % tagmem_block == within && tagmem_conflict(*start, *start + length, true) == 0;
	return fits ? 0 : ENOMEM;
}

/* Code is left to the kernel. */
bool tagmem_may_file_get_tags(int protection, int flags, int fd) {
	int fixed = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT;
	return !(flags & fixed) && !(protection & PROT_EXEC) && tagmem_is_of_tmpfs(fd);
}

int tagmem_map_file(const void *address, size_t length, int protection, int flags, int fd, off_t offset, uint64_t *start) {
	int error = try(length, protection, flags, fd, offset);
	if (error)
		return error;
	bool is_adopted = tagmem_is_file_adopted(fd);
	if (protection & PROT_MTE && !is_adopted && !tagmem_is_of_tmpfs(fd))
		return EINVAL;
	bool may_get_tags = tagmem_may_file_get_tags(protection, flags, fd);
	bool has_blocks = is_shared(flags) && (is_adopted || protection & PROT_MTE || may_get_tags);
	bool is_foreign = !is_adopted && !(protection & PROT_MTE);
	uint64_t size = tagmem_round_up(length, tagmem_page);
	tagmem_lock_environment();
	error = place(address, size, flags, has_blocks, offset, start);
	if (!error) {
		uint64_t end = *start + size;
		error = !is_shared(flags) ? map_copy(*start, end, protection, fd, offset)
			: is_foreign ? tagmem_map_foreign(*start, end, protection, fd, (uint64_t)offset, may_get_tags)
				     : map_adopted(*start, end, protection, fd, offset);
	}
	tagmem_unlock_environment();
	return error;
}
