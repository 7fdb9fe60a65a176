#ifndef TAGMEM_TAGS_H
#define TAGMEM_TAGS_H

#include "internal.h"

/* Granules from `first` on, of a span: 0 or an errno, and how many are done before it. `*_straight` use the mapping of `tags`,
 * `*_by_request` ask the device. */
struct tagmem_granules {
	const struct tagmem_span *span;
	uint64_t first, count;
};
int tagmem_load_straight(struct tagmem_granules granules, uint8_t *tags);
int tagmem_store_straight(struct tagmem_granules granules, const uint8_t *tags);
int tagmem_fill_straight(struct tagmem_granules granules, uint8_t tag);
int tagmem_store_by_request(struct tagmem_granules granules, const uint8_t *tags);
int tagmem_fill_by_request(struct tagmem_granules granules, uint8_t tag, bool zero);

#endif
