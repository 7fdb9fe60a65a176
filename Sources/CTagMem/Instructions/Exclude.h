#ifndef TAGMEM_EXCLUDE_H
#define TAGMEM_EXCLUDE_H

#include "internal.h"

enum { tagmem_all_tags = 0xffff };

/* GCR_EL1.Exclude of the thread: bit t excludes tag t. Who has not called prctl has what Linux begins with, all excluded; but
 * for pointers to what it has attached itself, which is all to use. */
static inline unsigned tagmem_excluded(const struct tagmem_span *span) {
	if (tagmem_thread.has_control) return ~(tagmem_thread.control >> 3) & tagmem_all_tags;
	return span && !span->is_environment ? 0 : tagmem_all_tags;
}

#endif
