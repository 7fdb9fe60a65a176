/* Pages of aliases that nobody may touch until the trap has seen it. */
#include "Closing.h"
#include "Kernel.h"
#include "Layout.h"
#include "Map.h"

#include <sys/mman.h>

/* The protection that an offset has where it is not closed. */
static unsigned bits_of(const struct tagmem_span *span, uint64_t offset) {
	if (span->is_environment) return span->pages[offset >> tagmem_page_shift];
	return span->flags & TAGMEM_READONLY ? PROT_READ : PROT_READ | PROT_WRITE;
}

static void open_alias(struct tagmem_span *span, unsigned tag) {
	span->closed_aliases &= (uint16_t)~(1u << tag);
	if (!span->is_environment) {
		tagmem_protect_alias(span, tag, 0, alias_size, bits_of(span, 0));
		return;
	}
	struct tagmem_region region;
	for (uint64_t at = 0; tagmem_next_region(span, at, &region); at = region.end) {
		tagmem_protect_alias(span, tag, region.start, region.end, (unsigned)region.protection);
	}
}

static void close_alias(struct tagmem_span *span, unsigned tag) {
	if (tagmem_call(SYS_mprotect, span->base + tag * alias_size, alias_size, PROT_NONE) == 0) {
		span->closed_aliases |= (uint16_t)(1u << tag);
	}
}

/* The address as it lies in the span. */
static uintptr_t place(struct tagmem_pointer pointer) {
	return pointer.span->base + pointer.tag * alias_size + (pointer.offset & ~(uint64_t)(tagmem_page - 1));
}

/* A page's count is that of the threads that have closed it, and this if the device refuses it. */
enum { is_refused = 1 << 15 };

static void shut(struct tagmem_pointer pointer) {
	struct tagmem_span *span = pointer.span;
	span->closed_of_alias[pointer.tag]++;
	bool is_closed = span->closed_aliases >> pointer.tag & 1;
	if (!is_closed && tagmem_call(SYS_mprotect, place(pointer), tagmem_page, PROT_NONE) != 0) {
		close_alias(span, pointer.tag);
	}
}

static void unshut(struct tagmem_pointer pointer) {
	struct tagmem_span *span = pointer.span;
	uint32_t left = --span->closed_of_alias[pointer.tag];
	if (!(span->closed_aliases >> pointer.tag & 1)) {
		uint64_t start = pointer.offset & ~(uint64_t)(tagmem_page - 1);
		tagmem_protect_alias(span, pointer.tag, start, start + tagmem_page, bits_of(span, start));
	} else if (left == 0) {
		open_alias(span, pointer.tag);
	}
}

enum change { close_by_thread, open_by_thread, close_refused, open_refused };

static void change(uintptr_t address, enum change change) {
	tagmem_lock();
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	if (pointer.span) {
		uint16_t *count = tagmem_closed_at(pointer.span, place(pointer)), old = *count, threads = old & (is_refused - 1);
		switch (change) {
		case close_by_thread: *count += threads < is_refused - 1; break;
		case open_by_thread: *count -= threads > 0; break;
		case close_refused: *count |= is_refused; break;
		case open_refused: *count = threads; break;
		}
		if (!old && *count) shut(pointer);
		if (old && !*count) unshut(pointer);
	}
	tagmem_unlock();
}

void tagmem_close_page(uintptr_t address) { change(address, close_by_thread); }

void tagmem_open_page(uintptr_t address) { change(address, open_by_thread); }

void tagmem_close_refused_page(uintptr_t address) { change(address, close_refused); }

void tagmem_open_refused_page(uintptr_t address) { change(address, open_refused); }

/* In a child of fork, where no other thread is and so none comes back to open what it has closed. */
void tagmem_open_all_pages(struct tagmem_span *span) {
	bool is_any_closed = span->closed_aliases != 0;
	for (unsigned tag = 0; tag < 16; tag++) is_any_closed |= span->closed_of_alias[tag] != 0;
	if (!is_any_closed) return;
	tagmem_call(SYS_madvise, span->closed, closed_size, MADV_DONTNEED);
	for (unsigned tag = 0; tag < 16; tag++) {
		span->closed_of_alias[tag] = 0;
		open_alias(span, tag);
	}
}
