#ifndef TAGMEM_SCAN_H
#define TAGMEM_SCAN_H

#include "internal.h"

/* What a search for a tag that differs ends with. */
struct tagmem_found {
	enum { tagmem_all_match, tagmem_differs, tagmem_is_gone } what;
	uint64_t offset; /* of the granule, or of the first byte if it is in the granule */
	unsigned tag; /* the allocation tag */
};

/* Looks at all granules of [start, end) in pages that have tags. */
struct tagmem_found tagmem_scan(const struct tagmem_span *span, unsigned tag, uint64_t start, uint64_t end);

#endif
