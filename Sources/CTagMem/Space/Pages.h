#ifndef TAGMEM_PAGES_H
#define TAGMEM_PAGES_H

#include "internal.h"

#include <fcntl.h>

/* The byte of a page that is mapped with that protection. */
unsigned tagmem_page_bits(const struct tagmem_span *span, int protection, bool is_shared);

/* Whole pages from an offset on may have gone: they are to be asked for again. */
void tagmem_forget_pages(const struct tagmem_span *span, uint64_t start);

#endif
