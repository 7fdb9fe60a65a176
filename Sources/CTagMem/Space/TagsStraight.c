/* Tags in the mapping of `tags`: two a byte, the lower one for the granule with the lower address. */
#include "Tags.h"

#include <errno.h>

/* Others store the other tag of the byte at the same time. */
static int store_one(uint8_t *at, unsigned shift, uint8_t tag) {
	int old = tagmem_touch_load(at);
	while (old >= 0) {
		int seen = tagmem_touch_exchange(at, (uint8_t)old, (uint8_t)((old & ~(0xf << shift)) | tag << shift));
		if (seen == old) return 0;
		old = seen;
	}
	return EFAULT;
}

static unsigned shift_of(uint64_t granule) { return granule & 1 ? 4 : 0; }

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
		uint64_t granule = granules.first + i;
		if (store_one(granules.span->tags + granule / 2, shift_of(granule), tags[i])) return EFAULT;
	}
	return 0;
}

int tagmem_fill_straight(struct tagmem_granules granules, uint8_t tag) {
	uint64_t first = granules.first, end = first + granules.count;
	uint8_t *tags = granules.span->tags;
	if (first < end && first & 1) {
		if (store_one(tags + first / 2, 4, tag)) return EFAULT;
		first++;
	}
	if (first < end && end & 1) {
		end--;
		if (store_one(tags + end / 2, 0, tag)) return EFAULT;
	}
	return first < end && tagmem_touch_fill(tags + first / 2, tag * 0x11, (end - first) / 2) ? EFAULT : 0;
}

unsigned tagmem_tag_at(const struct tagmem_span *span, uint64_t offset) {
	int byte = tagmem_touch_load(span->tags + (offset >> 5));
	return byte < 0 ? 0 : (unsigned)byte >> shift_of(offset >> 4) & 0xf;
}
