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

/* xorshift64*: the upper bits are the good ones. */
static uint64_t random_bits(void) {
	uint64_t state = tagmem_thread.random;
	if (__builtin_expect(state == 0, 0)) state = seed();
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	tagmem_thread.random = state;
	return state * 0x2545f4914f6cdd1d;
}

/* One of the tags that are left, each with the same chance. */
static unsigned choose(unsigned exclude) {
	unsigned left = ~exclude & tagmem_all_tags;
	if (!left) return 0;
	uint64_t bits = random_bits();
	/* Most exclude few: then the first try does. */
	for (int tries = 0; tries < 4; tries++) {
		unsigned tag = bits >> 60;
		if (left >> tag & 1) return tag;
		bits <<= 4;
	}
	unsigned skip = (unsigned)((bits >> 32) * (unsigned)__builtin_popcount(left) >> 32);
	while (skip--) left &= left - 1;
	return (unsigned)__builtin_ctz(left);
}

void *tagmem_irg(const void *pointer, uint64_t mask) {
	uintptr_t address = (uintptr_t)pointer;
	const struct tagmem_span *span = tagmem_pointer_of(address).span;
	return (void *)tagmem_retag(address, choose(tagmem_excluded(span) | (mask & tagmem_all_tags)));
}
