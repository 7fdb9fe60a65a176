/* IRG. */
#include "Exclude.h"
#include "Space/Kernel.h"

#include <tagmem/arm_acle.h>

#include <time.h>

/* The kernel's random bytes, or what it has otherwise; never 0. */
static uint64_t seed(void) {
	uint64_t value = 0;
	if (tagmem_call(SYS_getrandom, &value, sizeof value, 0) != sizeof value) {
		struct timespec now = { 0 };
		tagmem_call(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
		value = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15 ^ (uintptr_t)&tagmem_thread;
	}
	return value | 1;
}

/* A sequence of Weyl, mixed: the upper bits are the good ones. Two calls do not wait for each other's multiplication. */
static inline uint64_t mix(uint64_t state) { return (state ^ state >> 32) * 0xd6e8feb86659fd93; }

static inline uint64_t next_state(uint64_t state) { return state + 0x9e3779b97f4a7c15; }

static unsigned count(unsigned bits) {
	bits -= bits >> 1 & 0x5555;
	bits = (bits & 0x3333) + (bits >> 2 & 0x3333);
	bits = (bits + (bits >> 4)) & 0x0f0f;
	return (bits + (bits >> 8)) & 0x1f;
}

/* One of the tags that are left, each with the same chance. */
static unsigned choose(unsigned exclude) {
	unsigned left = ~exclude & tagmem_all_tags;
	uint64_t state = tagmem_thread.random;
	if (state == 0) state = seed();
	tagmem_thread.random = next_state(state);
	if (!left) return 0;
	unsigned random = mix(state) >> 48;
	for (unsigned skip = random * count(left) >> 16; skip > 0; skip--) left &= left - 1;
	return (unsigned)__builtin_ctz(left);
}

static __attribute__((noinline)) void *irg(uintptr_t address, uint64_t mask) {
	unsigned exclude = tagmem_excluded(tagmem_pointer_of(address).span) | (mask & tagmem_all_tags);
	return (void *)tagmem_retag(address, choose(exclude));
}

/* Most exclude few tags, so one of two tries does, and here is all that it takes. */
void *tagmem_irg(const void *pointer, uint64_t mask) {
	uintptr_t address = (uintptr_t)pointer, index = address >> TAGMEM_SPAN_SHIFT;
	uint64_t state = tagmem_thread.random;
	if (__builtin_expect(index >= tagmem_span_count || state == 0, 0)) return irg(address, mask);
	const struct tagmem_span *span = tagmem_spans[index];
	if (__builtin_expect(!span, 0)) return irg(address, mask);
	tagmem_thread.random = next_state(state);
	uint64_t random = mix(state), exclude = tagmem_excluded(span) | mask;
	unsigned tag = random >> 60, second = random >> 56 & 0xf, is_second = exclude >> tag & 1;
	/* No branch, which nothing could predict. */
	__asm__("" : "+r"(is_second));
	tag ^= (tag ^ second) & -is_second;
	if (__builtin_expect(exclude >> tag & 1, 0)) return irg(address, mask);
	return tagmem_with_tag(pointer, tag);
}
