/*
 * The mappings of an attachment. All have their full size at once, so that the object grows under them; what is behind its
 * end is SIGBUS by the kernel.
 */
#include "Map.h"
#include "Kernel.h"
#include "Layout.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static long map(uintptr_t at, size_t size, int protection, int flags, int file) {
	return tagmem_call(SYS_mmap, at, size, protection, flags | MAP_NORESERVE, file, 0);
}

static int protection_of(const struct tagmem_span *span) {
	return span->flags & TAGMEM_READONLY ? PROT_READ : PROT_READ | PROT_WRITE;
}

static int map_outside(struct tagmem_span *span) {
	long at = map(0, outside_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (tagmem_call_failed(at)) return -at;
	span->closed = (uint16_t *)(at + closed_at);
	span->pages = (uint8_t *)(at + pages_at);
	span->tags = (uint8_t *)(at + tags_at);
	span->plain = (char *)(at + plain_at);

	int protection = protection_of(span), tag_protection = span->flags & TAGMEM_VIEWS ? PROT_READ : protection;
	long result = map(at, tags_at, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1);
	/* They are large, and say nothing to who looks at a core dump. */
	tagmem_call(SYS_madvise, at, tags_at, MADV_DONTDUMP);
	if (!tagmem_call_failed(result)) {
		result = map(at + tags_at, tags_size, tag_protection, MAP_FIXED | MAP_SHARED, span->tags_file);
	}
	if (!tagmem_call_failed(result)) {
		result = map(at + plain_at, alias_size, protection, MAP_FIXED | MAP_SHARED, span->mem);
	}
	return tagmem_call_failed(result) ? -result : 0;
}

/* Copies of the plain alias's mapping. To map the file anew would take its pages out of the kernel's cache each time. */
static int map_aliases(const struct tagmem_span *span) {
	for (unsigned tag = 0; tag < 16; tag++) {
		long result = tagmem_call(SYS_mremap, span->plain, 0, alias_size, MREMAP_MAYMOVE | MREMAP_FIXED,
		                          span->base + tag * alias_size);
		if (tagmem_call_failed(result)) return -result;
	}
	return 0;
}

static int map_views(const struct tagmem_span *span) {
	int access = span->flags & TAGMEM_READONLY ? O_RDONLY : O_RDWR;
	for (unsigned tag = 0; tag < 16; tag++) {
		char name[] = { 'v', 'i', 'e', 'w', 's', '/', "0123456789abcdef"[tag], 0 };
		long file = tagmem_call(SYS_openat, span->directory, name, access | O_CLOEXEC);
		if (file < 0) return file == -ENOENT ? EOPNOTSUPP : -file;
		long result = map(span->base + tag * alias_size, alias_size, protection_of(span), MAP_FIXED | MAP_SHARED, file);
		tagmem_call(SYS_close, file);
		if (tagmem_call_failed(result)) return -result;
	}
	return 0;
}

int tagmem_map_span(struct tagmem_span *span) {
	int error = ENOMEM;
	for (uintptr_t index = 1; index < tagmem_span_count; index++) {
		uintptr_t at = index << TAGMEM_SPAN_SHIFT;
		long result = map(at, span_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
		if (result == (long)at) {
			span->base = at;
			break;
		}
		/* A kernel that does not know the flag takes the address for a hint. */
		if (!tagmem_call_failed(result)) tagmem_call(SYS_munmap, result, span_size);
	}
	if (span->base) error = map_outside(span);
	if (!error) error = span->flags & TAGMEM_VIEWS ? map_views(span) : map_aliases(span);
	if (error) tagmem_unmap_span(span);
	return error;
}

void tagmem_unmap_span(const struct tagmem_span *span) {
	if (span->closed) tagmem_call(SYS_munmap, span->closed, outside_size);
	if (span->base) tagmem_call(SYS_munmap, span->base, span_size);
}
