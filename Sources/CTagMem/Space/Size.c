/* The object's size, and what of it is in force. */
#include "Kernel.h"
#include "Layout.h"
#include "Pages.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

static long size_of(const struct tagmem_span *span) {
	struct stat status;
	long result = tagmem_call(SYS_newfstatat, span->mem, "", &status, AT_EMPTY_PATH);
	return result < 0 ? result : status.st_size;
}

static int64_t result_of(long result) {
	if (result >= 0) return result;
	errno = (int)-result;
	return -1;
}

int64_t tagmem_size(const void *pointer) {
	const struct tagmem_span *span = tagmem_pointer_of((uintptr_t)pointer).span;
	return result_of(span ? size_of(span) : -EINVAL);
}

int tagmem_resize(const void *pointer, uint64_t size) {
	const struct tagmem_span *span = tagmem_pointer_of((uintptr_t)pointer).span;
	if (!span || size > TAGMEM_OBJECT_MAX) return (int)result_of(-EINVAL);
	long result;
	do result = tagmem_call(SYS_ftruncate, span->mem, size);
	while (result == -EINTR);
	if (result == 0) tagmem_forget_pages(span, size);
	return (int)result_of(result);
}

static long sync_range(const void *start, uint64_t length) {
	return length ? tagmem_call(SYS_msync, start, length, MS_SYNC) : 0;
}

int tagmem_sync(const void *pointer, size_t length) {
	struct tagmem_pointer where = tagmem_pointer_of((uintptr_t)pointer);
	if (!where.span || length > TAGMEM_OBJECT_MAX - where.offset) return (int)result_of(-EINVAL);
	if (length == 0) return 0;
	uint64_t start = where.offset & ~(uint64_t)(tagmem_page - 1);
	uint64_t end = (where.offset + length + tagmem_page - 1) & ~(uint64_t)(tagmem_page - 1);
	/* Tags first: a view that others have mapped is then refused or granted by them. */
	uint64_t tags_start = (start / 32) & ~(uint64_t)(tagmem_page - 1);
	long error = sync_range(where.span->tags + tags_start, end / 32 - tags_start);
	long result = sync_range(where.span->plain + start, end - start);
	if (!error) error = result;
	for (unsigned tag = 0; tag < 16 && where.span->flags & TAGMEM_VIEWS; tag++) {
		result = sync_range((char *)where.span->base + tag * alias_size + start, end - start);
		if (!error) error = result;
	}
	return (int)result_of(error);
}
