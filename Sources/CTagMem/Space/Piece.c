/* An attachment is one piece of its object. */
#include "internal.h"

static struct tagmem_piece whole(const struct tagmem_span *span, uint64_t start, uint64_t end) {
	return (struct tagmem_piece){ span->mem, start, end - start };
}

struct tagmem_piece (*tagmem_piece_of)(const struct tagmem_span *span, uint64_t start, uint64_t end) = whole;
