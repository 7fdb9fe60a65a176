/*
 * Plans and rewritten code are kept, and never change once they are found: so they are shared by all threads and by traps
 * within traps without any lock, also where a signal's handler leaves by siglongjmp. There is an end to that: of places
 * whose code changes again and again (just-in-time compilers), and when all chunks are full, plans are made for each trap
 * anew, in spare slots.
 *
 * Code is written through one mapping and executed through another of the same memory, so that none is both. A child
 * shares that memory with its parent, and so adds to it no more: `current` is wiped in a child.
 */
#include "Trap.h"

#include "Space/Kernel.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

enum { slot = 16, chunk_slots = 1024, chunk_bytes = slot * chunk_slots, chunk_max = 128, spares = 64, buckets = 4096,
	depth_max = 64 };

struct chunk {
	uint8_t *write;
	const uint8_t *execute;
	_Atomic unsigned used; /* from `spares` on; what is claimed stays claimed */
	_Atomic bool is_spare_used[spares];
	struct tagmem_plan plans[chunk_slots];
};

/* All of them, of the parents as well. */
static struct chunk *_Atomic chunks[chunk_max];
/* The one that this process adds to: in a page that is wiped by fork. */
static struct chunk *_Atomic *_Atomic current;
static const struct tagmem_plan *_Atomic table[buckets];

static const struct tagmem_plan *_Atomic *bucket_of(uintptr_t pc) {
	return &table[(pc ^ pc >> 12) % buckets];
}

const struct tagmem_plan *tagmem_plan_find(uintptr_t pc, const uint8_t *bytes, size_t count) {
	const struct tagmem_plan *plan = atomic_load_explicit(bucket_of(pc), memory_order_acquire);
	while (plan != NULL && (plan->pc != pc || plan->length > count || memcmp(plan->bytes, bytes, plan->length) != 0)) {
		plan = atomic_load_explicit(&plan->next, memory_order_acquire);
	}
	return plan;
}

bool tagmem_is_rewritten(uintptr_t pc) {
	for (int i = 0; i < chunk_max; i++) {
		const struct chunk *chunk = chunks[i];
		if (chunk == NULL) {
			return false;
		}
		if (pc - (uintptr_t)chunk->execute < chunk_bytes) {
			return true;
		}
	}
	return false;
}

static struct chunk *chunk_make(void) {
	int file = (int)tagmem_call(SYS_memfd_create, "tagmem-trap", MFD_CLOEXEC | MFD_EXEC);
	if (file < 0) { /* before Linux 6.3 */
		file = (int)tagmem_call(SYS_memfd_create, "tagmem-trap", MFD_CLOEXEC);
	}
	if (file < 0) {
		return NULL;
	}
	struct chunk *chunk = tagmem_kernel_map(sizeof *chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	void *write = MAP_FAILED, *execute = MAP_FAILED;
	if (chunk != MAP_FAILED && tagmem_call(SYS_ftruncate, file, chunk_bytes) == 0) {
		write = tagmem_kernel_map(chunk_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		execute = tagmem_kernel_map(chunk_bytes, PROT_READ | PROT_EXEC, MAP_SHARED, file);
	}
	tagmem_call(SYS_close, file);
	if (write != MAP_FAILED && execute != MAP_FAILED) {
		chunk->write = write;
		chunk->execute = execute;
		chunk->used = spares;
		for (int i = 0; i < chunk_max; i++) {
			struct chunk *none = NULL;
			if (atomic_compare_exchange_strong(&chunks[i], &none, chunk)) {
				return chunk;
			}
		}
	}
	if (write != MAP_FAILED) {
		tagmem_call(SYS_munmap, write, chunk_bytes);
	}
	if (execute != MAP_FAILED) {
		tagmem_call(SYS_munmap, execute, chunk_bytes);
	}
	if (chunk != MAP_FAILED) {
		tagmem_call(SYS_munmap, chunk, sizeof *chunk);
	}
	return NULL;
}

static struct chunk *_Atomic *current_of_process(void) {
	struct chunk *_Atomic *page = current, *_Atomic *none = NULL;
	if (page == NULL) {
		page = tagmem_kernel_map(tagmem_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (page == MAP_FAILED || tagmem_call(SYS_madvise, page, tagmem_page, MADV_WIPEONFORK) != 0) {
			return NULL;
		}
		if (!atomic_compare_exchange_strong(&current, &none, page)) {
			tagmem_call(SYS_munmap, page, tagmem_page);
			page = none;
		}
	}
	return page;
}

static struct chunk *spare_claim(struct chunk *chunk, unsigned *index) {
	for (*index = 0; chunk != NULL && *index < spares; ++*index) {
		if (!atomic_exchange(&chunk->is_spare_used[*index], true)) {
			return chunk;
		}
	}
	return NULL;
}

/* A slot of a chunk: one for ever, or a spare one. */
static struct chunk *slot_claim(bool is_spare, unsigned *index) {
	struct chunk *_Atomic *here = current_of_process();
	if (here == NULL) {
		return NULL;
	}
	for (;;) {
		struct chunk *chunk = *here;
		if (chunk != NULL && is_spare) {
			return spare_claim(chunk, index);
		}
		if (chunk != NULL && chunk->used < chunk_slots) {
			*index = atomic_fetch_add(&chunk->used, 1);
			if (*index < chunk_slots) {
				return chunk;
			}
		}
		struct chunk *more = chunk_make();
		if (more == NULL) {
			return spare_claim(chunk, index);
		}
		/* If another thread was first, its own is as good, and this one is not used. */
		atomic_compare_exchange_strong(here, &chunk, more);
	}
}

const struct tagmem_plan *tagmem_plan_keep(const struct tagmem_plan *plan, const uint8_t code[16]) {
	const struct tagmem_plan *_Atomic *bucket = bucket_of(plan->pc);
	const struct tagmem_plan *first = *bucket;
	unsigned index;
	struct chunk *chunk = slot_claim(first != NULL && first->depth >= depth_max, &index);
	if (chunk == NULL) {
		return NULL;
	}
	struct tagmem_plan *kept = &chunk->plans[index];
	memcpy(chunk->write + slot * index, code, slot);
	memcpy(kept, plan, sizeof *kept);
	kept->code = chunk->execute + slot * index;
	kept->is_spare = index < spares;
	tagmem_serialize();
	if (!kept->is_spare) {
		do {
			kept->next = first;
			kept->depth = (uint8_t)(first == NULL ? 1 : first->depth + (first->depth < depth_max));
		} while (!atomic_compare_exchange_weak(bucket, &first, kept));
	}
	return kept;
}

void tagmem_plan_drop(const struct tagmem_plan *plan) {
	for (int i = 0; plan->is_spare && i < chunk_max && chunks[i] != NULL; i++) {
		if (plan >= chunks[i]->plans && plan < chunks[i]->plans + spares) {
			chunks[i]->is_spare_used[plan - chunks[i]->plans] = false;
			return;
		}
	}
}
