/* Tags of granules against one tag. */
#include "Scan.h"

#include <string.h>
#include <sys/mman.h>

enum { buffer_size = tagmem_page / 32 }; /* the tags of a page */

/* Both tags of a byte, for the first granule that differs: an access begins in the upper one, or ends in the lower one. */
static bool differs(uint8_t byte, unsigned tag, uint64_t granule, uint64_t first, uint64_t last,
                    struct tagmem_found *found) {
	for (uint64_t each = granule; each < granule + 2; each++) {
		unsigned have = each & 1 ? byte >> 4 : byte & 0xf;
		if (each < first || each > last || have == tag) continue;
		*found = (struct tagmem_found){ tagmem_differs, each * TAGMEM_GRANULE, have };
		return true;
	}
	return false;
}

static struct tagmem_found scan_page(const struct tagmem_span *span, unsigned tag, uint64_t start, uint64_t end) {
	struct tagmem_found found = { tagmem_all_match, end, 0 };
	uint64_t first = start / TAGMEM_GRANULE, last = (end - 1) / TAGMEM_GRANULE;
	uint64_t at = first / 2, length = last / 2 + 1 - at;
	uint8_t bytes[buffer_size], same = (uint8_t)(tag * 0x11);
	if (length <= 4) {
		for (uint64_t i = 0; i < length; i++) {
			int byte = tagmem_touch_load(span->tags + at + i);
			if (byte < 0) return (struct tagmem_found){ tagmem_is_gone, start, 0 };
			bytes[i] = (uint8_t)byte;
		}
	} else if (tagmem_touch_copy(bytes, span->tags + at, length)) {
		return (struct tagmem_found){ tagmem_is_gone, start, 0 };
	}
	for (uint64_t i = 0; i < length; i++) {
		if (bytes[i] != same && differs(bytes[i], tag, (at + i) * 2, first, last, &found)) break;
	}
	return found;
}

struct tagmem_found tagmem_scan(const struct tagmem_span *span, unsigned tag, uint64_t start, uint64_t end) {
	struct tagmem_found found = { tagmem_all_match, end, 0 };
	for (uint64_t at = start; at < end && found.what == tagmem_all_match;) {
		uint64_t next = (at | (tagmem_page - 1)) + 1;
		if (next > end) next = end;
		if (tagmem_page_of(span, at) & PROT_MTE) found = scan_page(span, tag, at, next);
		at = next;
	}
	if (found.what != tagmem_all_match && found.offset < start) found.offset = start;
	return found;
}

void *tagmem_first_mismatch(const void *pointer, size_t length) {
	struct tagmem_pointer where = tagmem_pointer_of((uintptr_t)pointer);
	if (!where.span || length == 0) return NULL;
	uint64_t room = TAGMEM_OBJECT_MAX - where.offset, end = where.offset + (length < room ? length : room);
	for (uint64_t start = where.offset; start < end;) {
		struct tagmem_found found = tagmem_scan(where.span, where.tag, start, end);
		if (found.what == tagmem_differs) return (char *)pointer + (found.offset - where.offset);
		if (found.what == tagmem_all_match) break;
		start = (found.offset | (tagmem_page - 1)) + 1;
	}
	return NULL;
}
