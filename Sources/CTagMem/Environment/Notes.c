/* A byte a page; the kernel has memory only for those that were written. */
#include "Environment.h"

static uint8_t *notes;
static bool has_foreign;

bool tagmem_has_foreign(void) { return has_foreign; }

int tagmem_start_notes(void) {
	long at = tagmem_call(SYS_mmap, 0, TAGMEM_PAGES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (tagmem_call_failed(at))
		return (int)-at;
	tagmem_call(SYS_madvise, at, TAGMEM_PAGES, MADV_DONTDUMP);
	notes = (uint8_t *)at;
	return 0;
}

unsigned tagmem_notes_of(uint64_t offset) { return notes[offset >> tagmem_page_shift]; }

void tagmem_note(uint64_t start, uint64_t end, unsigned add, unsigned remove) {
	has_foreign |= (add & tagmem_foreign) != 0;
	for (uint64_t page = start >> tagmem_page_shift; page < end >> tagmem_page_shift; page++) {
		uint8_t now = (uint8_t)((notes[page] | add) & ~remove);
		if (now != notes[page])
			notes[page] = now;
	}
}

bool tagmem_cuts_huge_page(uint64_t start, uint64_t end) {
	return (start % tagmem_huge_page != 0 && tagmem_notes_of(start) & tagmem_of_huge_pages) ||
	       (end % tagmem_huge_page != 0 && tagmem_notes_of(end - 1) & tagmem_of_huge_pages);
}

uint64_t tagmem_end_of_notes(uint64_t start, uint64_t end) {
	unsigned here = tagmem_notes_of(start);
	while (start < end && tagmem_notes_of(start) == here)
		start += tagmem_page;
	return start < end ? start : end;
}
