/* mmap: anonymous memory comes from the span, files from the kernel. */
#include "Mapping.h"

/* Address space that is reserved beyond this goes where it is in nobody's way. */
static const uint64_t huge_reservation = 64 << 20;

static uint64_t length_of(uint64_t length, int flags) {
	return tagmem_round_up(length, flags & MAP_HUGETLB ? tagmem_huge_page : tagmem_page);
}

/* The errno that Linux has for arguments that are wrong wherever they point to, or 0. */
static int check(size_t length, int flags, off_t offset) {
	int type = flags & MAP_TYPE;
	if (type != MAP_PRIVATE && type != MAP_SHARED)
		return EINVAL;
	if (length == 0 || offset % tagmem_page != 0)
		return EINVAL;
	return length > SIZE_MAX - tagmem_huge_page ? ENOMEM : 0;
}

/* Where a mapping at a fixed address goes: 0 or an errno. What is there goes. */
static int place_fixed(const void *address, uint64_t length, int flags, uint64_t *start) {
	bool is_shared = (flags & MAP_TYPE) == MAP_SHARED;
	if ((uintptr_t)address % (flags & MAP_HUGETLB ? tagmem_huge_page : tagmem_page) != 0)
		return EINVAL;
	/* Where a mapping is to be is an address without a tag, as on Linux. */
	if (!tagmem_in_environment(address, start) || address != tagmem_address_at(*start))
		return ENOMEM;
	uint64_t end = *start + length;
	if (end > TAGMEM_OBJECT_MAX)
		return ENOMEM;
	if ((flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE)
		return !tagmem_is_free(*start, end, false) ? EEXIST : tagmem_is_free(*start, end, is_shared) ? 0 : ENOMEM;
	int error = tagmem_unmap_range(*start, end);
	/* Private and shared memory are not in one block. */
	return error ? error : tagmem_is_free(*start, end, is_shared) ? 0 : ENOMEM;
}

static int place(const void *address, uint64_t length, int protection, int flags, uint64_t *start) {
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return place_fixed(address, length, flags, start);
	bool is_shared = (flags & MAP_TYPE) == MAP_SHARED;
	uint64_t alignment = flags & MAP_HUGETLB ? tagmem_huge_page : tagmem_page;
	if (tagmem_in_environment(address, start) && address == tagmem_address_at(*start)) {
		*start = tagmem_round_up(*start, alignment);
		if (length <= TAGMEM_OBJECT_MAX && tagmem_is_free(*start, *start + length, is_shared))
			return 0;
	}
	bool is_reserved = (protection & (PROT_READ | PROT_WRITE | PROT_EXEC)) == 0;
	struct tagmem_wish wish = {length, alignment, is_shared, is_reserved && length >= huge_reservation};
	return tagmem_place(&wish, start) ? 0 : ENOMEM;
}

int tagmem_map_anonymous(const void *address, size_t length, int protection, int flags, uint64_t *start) {
	uint64_t size = length_of(length, flags);
	bool is_shared = (flags & MAP_TYPE) == MAP_SHARED;
	tagmem_lock_environment();
	int error = place(address, size, protection, flags, start);
	if (!error)
		error = tagmem_map_range(*start, *start + size, protection, is_shared, !(flags & MAP_NORESERVE));
	if (!error && flags & MAP_HUGETLB)
		tagmem_note(*start, *start + size, tagmem_of_huge_pages, 0);
	tagmem_unlock_environment();
	return error;
}

static void *map_by_kernel(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	return (void *)tagmem_result(tagmem_call(SYS_mmap, address, length, protection, flags, fd, offset));
}

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	uint64_t start;
	bool is_fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0, is_ours = tagmem_in_environment(address, &start);
	if (!(flags & MAP_ANONYMOUS)) {
		bool must_be_ours = protection & PROT_MTE || (is_fixed && is_ours) || tagmem_is_file_adopted(fd);
		if (!must_be_ours && !tagmem_may_file_get_tags(protection, flags, fd))
			return map_by_kernel(address, length, protection, flags, fd, offset);
		int error = tagmem_map_file(address, length, protection, flags, fd, offset, &start);
		if (error && !must_be_ours)
			return map_by_kernel(address, length, protection, flags, fd, offset);
		return error ? (void *)tagmem_result(-error) : tagmem_address_at(start);
	}
	/* Memory at an address that is none of the span's cannot have tags. */
	bool is_elsewhere = (flags & MAP_32BIT) != 0 || (is_fixed && !is_ours);
	if (is_elsewhere && !(protection & PROT_MTE))
		return map_by_kernel(address, length, protection, flags, fd, offset);
	int error = check(length, flags, offset);
	if (!error)
		error = is_elsewhere ? ENOMEM : tagmem_map_anonymous(address, length, protection, flags, &start);
	return error ? (void *)tagmem_result(-error) : tagmem_address_at(start);
}

TAGMEM_EXPORT void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	tagmem_begin();
	tagmem_deliver_deferred();
	if (tagmem_environment == NULL)
		return map_by_kernel(address, length, protection, flags, fd, offset);
	return map(address, length, protection, flags, fd, offset);
}

TAGMEM_EXPORT void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
	return mmap(address, length, protection, flags, fd, offset);
}

TAGMEM_EXPORT int munmap(void *address, size_t length) {
	tagmem_deliver_deferred();
	uint64_t start;
	if (tagmem_environment == NULL || !tagmem_in_environment(address, &start))
		return (int)tagmem_result(tagmem_call(SYS_munmap, address, length));
	int error = EINVAL;
	if ((uintptr_t)address % tagmem_page == 0 && length > 0 && length <= TAGMEM_OBJECT_MAX - start) {
		uint64_t end = start + tagmem_round_up(length, tagmem_page);
		tagmem_lock_environment();
		error = tagmem_cuts_huge_page(start, end) ? EINVAL : tagmem_unmap_range(start, end);
		tagmem_unlock_environment();
	}
	return (int)tagmem_result(-error);
}
