/* The extended state that the kernel put into the context: in the standard format of xsave. */
#include "Trap.h"

#include <cpuid.h>
#include <string.h>

enum { state_x87, state_sse, state_avx, state_opmask = 5, state_zmm_high, state_zmm_more, state_pkru = 9, state_tile = 17 };
enum { legacy_registers = 160, software_bytes = 464, header = 512, magic = 0x46505853 };

/* The handler's own pkru remains, as the plain alias and the handler's stack need it; tiles no instruction that is done
 * here has. */
static const uint64_t never = 1u << state_pkru | 3u << state_tile;

void *tagmem_extended_state(const ucontext_t *context, uint64_t *features) {
	uint8_t *state = (uint8_t *)context->uc_mcontext.fpregs;
	uint32_t found;
	if (state == NULL) {
		return NULL;
	}
	memcpy(&found, state + software_bytes, sizeof found);
	if (found != magic) {
		return NULL;
	}
	memcpy(features, state + software_bytes + 8, sizeof *features);
	*features &= ~never;
	return state;
}

struct tagmem_component tagmem_component(int number) {
	/* The instruction cpuid takes microseconds in a virtual machine. Written by several threads, alike. */
	static _Atomic uint64_t known[64];
	uint64_t value = number < 64 ? known[number] : 0;
	if (number == state_avx) {
		return (struct tagmem_component){.offset = 576, .size = 256};
	}
	if (value == 0) {
		uint32_t size = 0, offset = 0, flags = 0, none;
		__cpuid_count(13, number, size, offset, flags, none);
		value = (uint64_t)1 << 63 | (uint64_t)(flags >> 1 & 1) << 62 | (uint64_t)size << 31 | offset;
		known[number] = value;
	}
	return (struct tagmem_component){.offset = value & 0x7fffffff, .size = value >> 31 & 0x7fffffff,
	    .is_aligned = value >> 62 & 1};
}

/* A register's bytes in the context, NULL if it is in its first state (0) there, or if there is none. With `makes`, it
 * becomes one that is not. */
static uint8_t *part(const ucontext_t *context, int component, size_t at, bool makes) {
	uint64_t features, present;
	uint8_t *state = tagmem_extended_state(context, &features);
	if (state == NULL || !(features >> component & 1)) {
		return NULL;
	}
	struct tagmem_component all = {.offset = legacy_registers, .size = 256};
	if (component > state_sse) {
		all = tagmem_component(component);
	}
	memcpy(&present, state + header, sizeof present);
	if (!(present >> component & 1)) {
		if (!makes) {
			return NULL;
		}
		memset(state + all.offset, 0, all.size);
		present |= (uint64_t)1 << component;
		memcpy(state + header, &present, sizeof present);
	}
	return state + all.offset + at;
}

/* The parts that vector `number` is in: component, offset there, size, offset in the vector. */
static int parts_of(int number, int parts[3][4]) {
	size_t n = (size_t)number;
	if (number >= 16) {
		memcpy(parts[0], (int[]){state_zmm_more, (int)(64 * (n - 16)), 64, 0}, sizeof parts[0]);
		return 1;
	}
	memcpy(parts[0], (int[]){state_sse, (int)(16 * n), 16, 0}, sizeof parts[0]);
	memcpy(parts[1], (int[]){state_avx, (int)(16 * n), 16, 16}, sizeof parts[1]);
	memcpy(parts[2], (int[]){state_zmm_high, (int)(32 * n), 32, 32}, sizeof parts[2]);
	return 3;
}

void tagmem_vector_load(const ucontext_t *context, int number, uint8_t bytes[64]) {
	int parts[3][4];
	int count = parts_of(number, parts);
	memset(bytes, 0, 64);
	for (int i = 0; i < count; i++) {
		const uint8_t *from = part(context, parts[i][0], (size_t)parts[i][1], false);
		if (from != NULL) {
			memcpy(bytes + parts[i][3], from, (size_t)parts[i][2]);
		}
	}
}

void tagmem_vector_store(ucontext_t *context, int number, const uint8_t *bytes, size_t size) {
	int parts[3][4];
	int count = parts_of(number, parts);
	uint8_t all[64] = {0};
	memcpy(all, bytes, size);
	for (int i = 0; i < count; i++) {
		uint8_t *to = part(context, parts[i][0], (size_t)parts[i][1], (size_t)parts[i][3] < size);
		if (to != NULL) {
			memcpy(to, all + parts[i][3], (size_t)parts[i][2]);
		}
	}
}

uint64_t tagmem_opmask_load(const ucontext_t *context, int number) {
	uint64_t mask = 0;
	const uint8_t *from = part(context, state_opmask, 8 * (size_t)number, false);
	if (from != NULL) {
		memcpy(&mask, from, sizeof mask);
	}
	return mask;
}

void tagmem_opmask_store(ucontext_t *context, int number, uint64_t mask) {
	uint8_t *to = part(context, state_opmask, 8 * (size_t)number, true);
	if (to != NULL) {
		memcpy(to, &mask, sizeof mask);
	}
}
