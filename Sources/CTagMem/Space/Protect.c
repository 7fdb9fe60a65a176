/* The protection of a span's mappings: that of the pages, and none where they are closed. */
#include "Closing.h"
#include "Kernel.h"
#include "Layout.h"
#include "Map.h"

#include <errno.h>
#include <sys/mman.h>

static int protect(uintptr_t at, size_t size, int protection) {
	return (int)-tagmem_call(SYS_mprotect, at, size, protection);
}

int tagmem_protect_alias(const struct tagmem_span *span, unsigned tag, uint64_t start, uint64_t end, unsigned bits) {
	uintptr_t alias = span->base + tag * alias_size;
	if (span->closed_aliases >> tag & 1) return 0;
	int error = protect(alias + start, end - start, bits & (PROT_READ | PROT_WRITE | PROT_EXEC));
	if (error || !span->closed_of_alias[tag]) return error;
	for (uint64_t at = start; at < end && !error; at += tagmem_page) {
		if (*tagmem_closed_at(span, alias + at)) error = protect(alias + at, tagmem_page, PROT_NONE);
	}
	return error;
}

int tagmem_protect(const struct tagmem_span *span, uint64_t start, uint64_t end, unsigned bits) {
	if (span->flags & TAGMEM_READONLY) bits &= ~(unsigned)PROT_WRITE;
	/* Mappings of the sixteen aliases do not merge, but pages of one do: so one alias after the other. */
	for (unsigned tag = 0; tag < 16; tag++) {
		int error = tagmem_protect_alias(span, tag, start, end, bits);
		if (error) return error;
	}
	return 0;
}
