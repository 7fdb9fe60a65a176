/* Tags in the mapping of `tags`: two a byte, the lower one for the granule with the lower address. */
#include "Tags.h"

#include <errno.h>

static unsigned shift_of(uint64_t granule) { return granule & 1 ? 4 : 0; }

/* Others store the other tag of the byte at the same time. */
static int store_one(const struct tagmem_span *span, uint64_t granule, unsigned tag) {
	unsigned shift = shift_of(granule);
	return tagmem_touch_change(span->tags + granule / 2, 0xf0u >> shift, tag << shift) ? EFAULT : 0;
}

int tagmem_load_straight(struct tagmem_granules granules, uint8_t *tags) {
	for (uint64_t i = 0; i < granules.count; i++) {
		uint64_t granule = granules.first + i;
		int byte = tagmem_touch_load(granules.span->tags + granule / 2);
		if (byte < 0) return EFAULT;
		tags[i] = (uint8_t)byte >> shift_of(granule) & 0xf;
	}
	return 0;
}

int tagmem_store_straight(struct tagmem_granules granules, const uint8_t *tags) {
	for (uint64_t i = 0; i < granules.count; i++) {
		if (store_one(granules.span, granules.first + i, tags[i])) return EFAULT;
	}
	return 0;
}

int tagmem_fill_straight(struct tagmem_granules granules, uint8_t tag) {
	uint64_t first = granules.first, end = first + granules.count;
	if (first < end && first & 1) {
		if (store_one(granules.span, first++, tag)) return EFAULT;
	}
	if (first < end && end & 1) {
		if (store_one(granules.span, --end, tag)) return EFAULT;
	}
	if (first == end) return 0;
	return tagmem_touch_fill(granules.span->tags + first / 2, tag * 0x11, (end - first) / 2) ? EFAULT : 0;
}

unsigned tagmem_tag_at(const struct tagmem_span *span, uint64_t offset) {
	int byte = tagmem_touch_load(span->tags + (offset >> 5));
	return byte < 0 ? 0 : (unsigned)byte >> shift_of(offset >> 4) & 0xf;
}
