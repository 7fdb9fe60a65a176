/* What the files about blocks share. */
#ifndef TAGMEM_BLOCKS_H
#define TAGMEM_BLOCKS_H

#include "Environment.h"

#pragma GCC visibility push(hidden)

/* MARK: Blocks.c */

enum { tagmem_block_count = 1 << 23, tagmem_is_nothing = 1, tagmem_first_entry = 2 };

/* 0: the same offset of the main object. tagmem_is_nothing. Otherwise the object in bits 31:24, and its block +
 * tagmem_first_entry. */
extern uint32_t *tagmem_entries;
/* Blocks of the main object that are elsewhere in the span than at their offset. */
extern uint8_t *tagmem_is_taken;

void tagmem_set_entry(uint64_t block, uint32_t entry);

static inline uint32_t tagmem_entry_of(unsigned object, uint64_t block) {
	return object << 24 | (uint32_t)(block + tagmem_first_entry);
}

static inline uint64_t tagmem_block_of_entry(uint32_t entry) { return (entry & 0xffffff) - tagmem_first_entry; }

/* Whether any page of it is mapped. */
static inline bool tagmem_is_block_used(uint64_t block) {
	static const uint8_t none[tagmem_block / tagmem_page];
	return memcmp(tagmem_environment->pages + block * sizeof none, none, sizeof none) != 0;
}

/* MARK: Mapped.c */

/* Maps blocks of an object, from its block `at` on, or nothing, whose tags read as 0. The aliases are closed. */
int tagmem_map_blocks(uint64_t block, uint64_t count, unsigned object, uint64_t at);
void tagmem_map_nothing(uint64_t block, uint64_t count);

#pragma GCC visibility pop

#endif
