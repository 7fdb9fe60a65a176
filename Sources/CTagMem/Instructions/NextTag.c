/* ADDG, with no offset of the address. */
#include "Exclude.h"

#include <tagmem/arm_acle.h>

static unsigned next_tag(unsigned tag, unsigned offset, unsigned exclude) {
	if (exclude == 0) return (tag + offset) & 0xf;
	if (exclude == tagmem_all_tags) return 0;
	/* A tag that is excluded is left only by the steps there are, or by none. */
	while (offset == 0 && exclude >> tag & 1) tag = (tag + 1) & 0xf;
	for (; offset > 0; offset--) {
		do tag = (tag + 1) & 0xf;
		while (exclude >> tag & 1);
	}
	return tag;
}

void *tagmem_addg(const void *pointer, unsigned offset) {
	uintptr_t index = (uintptr_t)pointer >> TAGMEM_SPAN_SHIFT;
	const struct tagmem_span *span = index < tagmem_span_count ? tagmem_spans[index] : NULL;
	if (span) return tagmem_with_tag(pointer, next_tag(tagmem_tag(pointer), offset & 0xf, tagmem_excluded(span)));
	struct tagmem_pointer where = tagmem_pointer_of((uintptr_t)pointer);
	return (void *)tagmem_retag((uintptr_t)pointer, next_tag(where.tag, offset & 0xf, tagmem_excluded(where.span)));
}
