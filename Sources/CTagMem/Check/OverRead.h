#ifndef TAGMEM_OVER_READ_H
#define TAGMEM_OVER_READ_H

#include "internal.h"

#pragma GCC visibility push(hidden)
/* Whether a load that mismatches, first at the offset `differs`, is one that only reads ahead. */
bool tagmem_is_over_read(struct tagmem_pointer pointer, uint64_t differs, size_t size, bool is_store);
#pragma GCC visibility pop

#endif
