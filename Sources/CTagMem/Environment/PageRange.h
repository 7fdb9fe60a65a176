/* Ranges that programs give. */
#ifndef TAGMEM_PAGE_RANGE_H
#define TAGMEM_PAGE_RANGE_H

#include "Mapping.h"

struct tagmem_page_range {
	uint64_t start, end;
};

/* The pages of what the program gives: 0 or an errno. A tag of the address is of no account. */
static inline int tagmem_page_range(const void *address, size_t length, bool must_be_aligned, struct tagmem_page_range *range) {
	uint64_t start;
	tagmem_in_environment(address, &start);
	if (must_be_aligned && start % tagmem_page != 0)
		return EINVAL;
	if (length > TAGMEM_OBJECT_MAX - start)
		return must_be_aligned ? EINVAL : ENOMEM;
	range->start = start / tagmem_page * tagmem_page;
	range->end = tagmem_round_up(start + length, tagmem_page);
	return 0;
}

static inline bool tagmem_is_in_span(const void *address) {
	uint64_t start;
	return tagmem_environment != NULL && tagmem_in_environment(address, &start);
}

#endif
