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

/* All sixteen digits of the result are good. */
static inline uint64_t mix_well(uint64_t state) {
	state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
	state = (state ^ state >> 27) * 0x94d049bb133111eb;
	return state ^ state >> 31;
}

__thread struct tagmem_drawn tagmem_drawn;

/* For the thread's next calls, which take them without one of this library: of sixteen at a time those that are left. */
static void draw(unsigned exclude) {
	enum { words = (sizeof tagmem_drawn.tags - 15) / 16 };
	uint64_t state = tagmem_thread.random;
	if (state == 0) state = seed();
	unsigned count = 0;
	for (int word = 0; word < words; word++) {
		uint64_t digits = mix_well(state = next_state(state));
		for (int i = 0; i < 16; i++, digits >>= 4) {
			unsigned tag = digits & 0xf;
			tagmem_drawn.tags[count] = (uint8_t)tag;
			count += ~exclude >> tag & 1;
		}
	}
	tagmem_thread.random = next_state(state);
	tagmem_drawn.count = count;
}

void *tagmem_irg(const void *pointer, uint64_t mask) {
	uintptr_t address = (uintptr_t)pointer;
	unsigned exclude = tagmem_excluded(tagmem_pointer_of(address).span);
	/* Without prctl it depends on the memory what is excluded. */
	if (tagmem_drawn.count == 0 && tagmem_thread.has_control && exclude != tagmem_all_tags) draw(exclude);
	return (void *)tagmem_retag(address, choose(exclude | (mask & tagmem_all_tags)));
}
