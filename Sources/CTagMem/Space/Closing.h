#ifndef TAGMEM_CLOSING_H
#define TAGMEM_CLOSING_H

#include "internal.h"

/* How often the page of an address in the span, one with the tag in bits 43:40, is closed. */
static inline uint16_t *tagmem_closed_at(const struct tagmem_span *span, uintptr_t address) {
	return &span->closed[(address - span->base) >> tagmem_page_shift];
}

/* For a child of fork. */
void tagmem_open_all_pages(struct tagmem_span *span);

#endif
