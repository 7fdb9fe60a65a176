/*
 * Tag loads and stores without a call, for tagmem.h and arm_acle.h. Not for programs.
 *
 * All accesses to memory are in assembly: instrumented programs do not check them.
 */
#ifndef TAGMEM_STRAIGHT_H
#define TAGMEM_STRAIGHT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TAGMEM_PAGES (TAGMEM_OBJECT_MAX >> 12)
#define TAGMEM_PAGE_STRAIGHT 8 /* it has tags, which may be stored straight to the mapping */

/* The tags of each span, or NULL. The tag of offset o is a nibble of [o >> 5]; TAGMEM_PAGES bytes before there is a byte for
 * each page that says what is mapped. */
extern __attribute__((visibility("default"))) uint8_t *tagmem_tags_of_span[TAGMEM_SPANS];

/* Whether a pointer, of whatever form, is into a span. */
static inline int tagmem_is_attached(uintptr_t address) {
	uint8_t *tags;
	uintptr_t index = (address & (((uintptr_t)1 << 56) - 1)) >> TAGMEM_SPAN_SHIFT;
	if (index >= TAGMEM_SPANS) return 0;
	__asm__ volatile("movq %1, %0" : "=r"(tags) : "m"(tagmem_tags_of_span[index]));
	return tags != NULL;
}

/* Where the tag of a pointer's granule can be loaded and stored without asking; NULL: it has to be asked for. */
static inline uint8_t *tagmem_straight(uintptr_t address) {
	uint8_t *tags;
	int is_straight;
	uintptr_t index = address >> TAGMEM_SPAN_SHIFT, offset = address << (64 - TAGMEM_TAG_SHIFT); /* from bit 24 on */
	if (index >= TAGMEM_SPANS) return NULL; /* bits 59:56 */
	__asm__ volatile("movq %1, %0" : "=r"(tags) : "m"(tagmem_tags_of_span[index]));
	if (!tags) return NULL;
	__asm__ volatile("testb %2, %1"
	                 : "=@ccnz"(is_straight)
	                 : "m"(*(tags + (offset >> 36) - TAGMEM_PAGES)), "i"(TAGMEM_PAGE_STRAIGHT));
	return is_straight ? tags + (offset >> 29) : NULL;
}

static inline unsigned tagmem_load_straight_tag(const uint8_t *at, uintptr_t address) {
	unsigned byte;
	__asm__ volatile("movzbl %1, %0" : "=r"(byte) : "m"(*at) : "memory");
	return address & 16 ? byte >> 4 : byte & 0xf;
}

/* The tag in bits 43:40 of the address. The other tag of the byte may be stored by somebody else at the same time. */
static inline void tagmem_store_straight_tag(uint8_t *at, uintptr_t address) {
	unsigned shift = (unsigned)(address >> 2) & 4, byte, difference;
	int is_stored;
	__asm__ volatile("movzbl %1, %0" : "=a"(byte) : "m"(*at));
	do {
		difference = ((byte >> shift) ^ (unsigned)(address >> TAGMEM_TAG_SHIFT)) & 0xf;
		if (!difference) return;
		__asm__ volatile("lock cmpxchgb %b3, %0"
		                 : "+m"(*at), "+a"(byte), "=@ccz"(is_stored)
		                 : "q"(byte ^ difference << shift)
		                 : "memory");
	} while (!is_stored);
}

/* STG, if it can be done without asking. */
static inline int tagmem_set_tag_straight(uintptr_t address) {
	uint8_t *at = tagmem_straight(address);
	if (!at) return 0;
	tagmem_store_straight_tag(at, address);
	return 1;
}

#ifdef __cplusplus
}
#endif

#endif
