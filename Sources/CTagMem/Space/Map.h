#ifndef TAGMEM_MAP_H
#define TAGMEM_MAP_H

#include "internal.h"

/* Finds a place for a span whose files are open, and maps all of it: 0 or an errno. */
int tagmem_map_span(struct tagmem_span *span);
void tagmem_unmap_span(const struct tagmem_span *span);

/* Gives the pages of [start, end) in all aliases, or in that of a tag, the protection that those bits of PROT_… say; what is
 * closed stays closed. 0 or an errno. */
int tagmem_protect(const struct tagmem_span *span, uint64_t start, uint64_t end, unsigned bits);
int tagmem_protect_alias(const struct tagmem_span *span, unsigned tag, uint64_t start, uint64_t end, unsigned bits);

#endif
