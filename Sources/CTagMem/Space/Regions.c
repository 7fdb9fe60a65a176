/* The environment's span: what is mapped there. */
#include "Kernel.h"
#include "Layout.h"
#include "Map.h"
#include "Pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* The first page at or behind `page`, before `end`, whose byte is another one than `bits`. */
static uint64_t skip(const struct tagmem_span *span, uint64_t page, uint64_t end, uint8_t bits) {
	const uint8_t *pages = span->pages;
	uint64_t pattern = bits * 0x0101010101010101ull, word;
	for (; page < end && page % sizeof word; page++) {
		if (pages[page] != bits) return page;
	}
	for (; page + sizeof word <= end; page += sizeof word) {
		memcpy(&word, pages + page, sizeof word);
		if (word != pattern) return page + (uint64_t)__builtin_ctzll(word ^ pattern) / 8;
	}
	while (page < end && pages[page] == bits) page++;
	return page;
}

static void describe(const struct tagmem_span *span, uint64_t start, uint64_t end, struct tagmem_region *region) {
	unsigned bits = span->pages[start];
	region->start = start << tagmem_page_shift;
	region->end = end << tagmem_page_shift;
	region->protection = (int)(bits & (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_MTE));
	region->is_shared = bits & tagmem_mapped_shared;
}

bool tagmem_region_at(const struct tagmem_span *span, uint64_t offset, struct tagmem_region *region) {
	if (offset >= TAGMEM_OBJECT_MAX) return false;
	if (!span->is_environment) {
		int protection = PROT_READ | PROT_MTE | (span->flags & TAGMEM_READONLY ? 0 : PROT_WRITE);
		*region = (struct tagmem_region){ 0, TAGMEM_OBJECT_MAX, protection, true };
		return true;
	}
	uint64_t page = offset >> tagmem_page_shift, start = page;
	uint8_t bits = span->pages[page];
	if (!bits) return false;
	while (start > 0 && span->pages[start - 1] == bits) start--;
	describe(span, start, skip(span, page, TAGMEM_PAGES, bits), region);
	return true;
}

bool tagmem_next_region(const struct tagmem_span *span, uint64_t offset, struct tagmem_region *region) {
	if (tagmem_region_at(span, offset, region)) return true;
	if (!span->is_environment || offset >= TAGMEM_OBJECT_MAX) return false;
	uint64_t page = skip(span, offset >> tagmem_page_shift, span->mapped_pages, 0);
	return page < span->mapped_pages && tagmem_region_at(span, page << tagmem_page_shift, region);
}

bool tagmem_find_room(const struct tagmem_span *span, uint64_t start, uint64_t end, uint64_t length, uint64_t *room) {
	uint64_t page = (start + tagmem_page - 1) >> tagmem_page_shift, limit = end >> tagmem_page_shift;
	uint64_t count = (length + tagmem_page - 1) >> tagmem_page_shift;
	if (limit > TAGMEM_PAGES) limit = TAGMEM_PAGES;
	while (page < limit && count <= limit - page) {
		/* What is behind all that was ever mapped need not be looked at. */
		uint64_t looked_at = page + count < span->mapped_pages ? page + count : span->mapped_pages;
		uint64_t next = page < looked_at ? skip(span, page, looked_at, 0) : looked_at;
		if (next >= looked_at) {
			*room = page << tagmem_page_shift;
			return true;
		}
		page = next;
		while (page < span->mapped_pages && span->pages[page]) page = skip(span, page, span->mapped_pages, span->pages[page]);
	}
	return false;
}

static bool is_range(const struct tagmem_span *span, uint64_t start, uint64_t end) {
	return span->is_environment && start < end && end <= TAGMEM_OBJECT_MAX && !((start | end) & (tagmem_page - 1));
}

/* Undone as far as the kernel lets it. */
static int change(struct tagmem_span *span, uint64_t start, uint64_t end, uint8_t bits) {
	uint64_t page = start >> tagmem_page_shift, last = end >> tagmem_page_shift;
	int error = tagmem_protect(span, start, end, bits);
	if (!error) {
		memset(span->pages + page, bits, last - page);
		if (bits && last > span->mapped_pages) span->mapped_pages = last;
		return 0;
	}
	while (page < last) {
		uint64_t next = skip(span, page, last, span->pages[page]);
		tagmem_protect(span, page << tagmem_page_shift, next << tagmem_page_shift, span->pages[page]);
		page = next;
	}
	return error;
}

int tagmem_set_region(struct tagmem_span *span, const struct tagmem_region *region) {
	if (!is_range(span, region->start, region->end)) return EINVAL;
	return change(span, region->start, region->end,
	              (uint8_t)tagmem_page_bits(span, region->protection, region->is_shared));
}

int tagmem_remove_region(struct tagmem_span *span, uint64_t start, uint64_t end) {
	return is_range(span, start, end) ? change(span, start, end, 0) : EINVAL;
}

int tagmem_become_environment(struct tagmem_span *span) {
	int error = tagmem_protect(span, 0, TAGMEM_OBJECT_MAX, 0);
	if (error) return error;
	tagmem_call(SYS_madvise, span->pages, pages_size, MADV_DONTNEED);
	span->is_environment = true;
	return 0;
}
