/* What a pointer says. */
#include "internal.h"

enum { top_shift = 56 }; /* of bits 59:56, where Arm has the address tag */

struct tagmem_span *_Atomic tagmem_spans[tagmem_span_count];
uint8_t *tagmem_tags_of_span[TAGMEM_SPANS];

struct tagmem_pointer tagmem_pointer_of(uintptr_t address) {
	uintptr_t top = address >> top_shift, rest = address & (((uintptr_t)1 << top_shift) - 1);
	size_t index = rest >> TAGMEM_SPAN_SHIFT;
	struct tagmem_pointer pointer = { NULL, rest & (TAGMEM_OBJECT_MAX - 1), 0 };
	pointer.tag = top ? top & 0xf : (rest >> TAGMEM_TAG_SHIFT) & 0xf;
	if (index < tagmem_span_count) {
		pointer.span = tagmem_spans[index];
	}
	return pointer;
}

uintptr_t tagmem_retag(uintptr_t address, unsigned tag) {
	uintptr_t top = address >> top_shift;
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	/* A tag in both places would be that of bits 43:40 as soon as the other is 0. */
	if (pointer.span) address &= ~TAGMEM_TAG_MASK;
	if (top) {
		return (address & ~((uintptr_t)0xf << top_shift)) | (uintptr_t)(tag & 0xf) << top_shift;
	}
	return pointer.span ? address | (uintptr_t)(tag & 0xf) << TAGMEM_TAG_SHIFT : address;
}

uintptr_t tagmem_address_of_tags(uintptr_t address) {
	for (size_t index = 0; index < tagmem_span_count; index++) {
		const struct tagmem_span *span = tagmem_spans[index];
		if (span && address - (uintptr_t)span->tags < TAGMEM_OBJECT_MAX / 32) {
			return span->base + (address - (uintptr_t)span->tags) * 32;
		}
	}
	return 0;
}
