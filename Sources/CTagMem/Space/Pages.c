/*
 * What is mapped where, a byte a page. The environment says it of its span. Of others the bytes are a cache: a page that has
 * one was behind no end, one that has none is asked for. An object that another program cuts off may leave stale ones; then
 * the memory and the tags are gone, and who touches them finds out.
 */
#include "Pages.h"
#include "Kernel.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { chunk = 4096 }; /* pages that are asked for at once */

unsigned tagmem_page_bits(const struct tagmem_span *span, int protection, bool is_shared) {
	unsigned bits = tagmem_mapped | (protection & (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_MTE));
	if (is_shared) bits |= tagmem_mapped_shared;
	bool is_straight = (bits & PROT_MTE) && (bits & PROT_WRITE) && !(span->flags & (TAGMEM_VIEWS | TAGMEM_READONLY));
	return is_straight ? bits | tagmem_mapped_straight : bits;
}

unsigned tagmem_page_of(const struct tagmem_span *span, uint64_t offset) {
	uint64_t page = offset >> tagmem_page_shift;
	if (offset >= TAGMEM_OBJECT_MAX) return 0;
	unsigned bits = __atomic_load_n(&span->pages[page], __ATOMIC_RELAXED);
	if (bits || span->is_environment) return bits;

	struct stat status;
	if (tagmem_call_failed(tagmem_call(SYS_newfstatat, span->mem, "", &status, AT_EMPTY_PATH))) return 0;
	uint64_t end = ((uint64_t)status.st_size + tagmem_page - 1) >> tagmem_page_shift;
	if (page >= end) return 0;
	int protection = PROT_READ | PROT_MTE | (span->flags & TAGMEM_READONLY ? 0 : PROT_WRITE);
	bits = tagmem_page_bits(span, protection, true);
	uint64_t first = page & ~(uint64_t)(chunk - 1);
	memset(span->pages + first, (int)bits, (end < first + chunk ? end : first + chunk) - first);
	return bits;
}

void tagmem_forget_pages(const struct tagmem_span *span, uint64_t start) {
	uint64_t page = (start + tagmem_page - 1) >> tagmem_page_shift, whole = (page + chunk - 1) & ~(uint64_t)(chunk - 1);
	if (span->is_environment) return;
	memset(span->pages + page, 0, whole - page);
	tagmem_call(SYS_madvise, span->pages + whole, TAGMEM_PAGES - whole, MADV_DONTNEED);
}
