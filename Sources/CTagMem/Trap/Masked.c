/* Instructions that access the elements that a mask has. What it does not have never faults. */
#include "Trap.h"

#include <string.h>

/* MMX registers are the x87's, which are stored from the top of its stack on. */
static void mmx_load(const ucontext_t *context, int number, uint8_t bytes[64]) {
	uint64_t features, present = 0;
	uint16_t status;
	const uint8_t *state = tagmem_extended_state(context, &features);
	memset(bytes, 0, 64);
	memcpy(&present, state + 512, sizeof present);
	if (present & 1) {
		memcpy(&status, state + 2, sizeof status);
		memcpy(bytes, state + 32 + 16 * (((unsigned)number - (status >> 11)) & 7), 8);
	}
}

uint64_t tagmem_mask_of(const struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t all = plan->mask_bits < 64 ? ((uint64_t)1 << plan->mask_bits) - 1 : ~(uint64_t)0, mask = 0;
	uint8_t bytes[64];
	if (plan->is_opmask) {
		return tagmem_opmask_load(attempt->context, plan->mask) & all;
	}
	if (plan->kind == TAGMEM_KIND_IMPLIED && plan->mask_bits == 8) {
		mmx_load(attempt->context, plan->mask, bytes);
	} else {
		tagmem_vector_load(attempt->context, plan->mask, bytes);
	}
	for (unsigned i = 0; i < plan->mask_bits; i++) {
		mask |= (uint64_t)(bytes[plan->element * (i + 1) - 1] >> 7) << i;
	}
	return mask;
}

/* Which elements in memory these are. */
static uint64_t in_memory(const struct tagmem_plan *plan, uint64_t mask) {
	unsigned count = plan->size / plan->element;
	if (plan->is_packed) {
		unsigned set = (unsigned)__builtin_popcountll(mask);
		return set < 64 ? ((uint64_t)1 << set) - 1 : ~(uint64_t)0;
	}
	for (unsigned i = count; i < plan->mask_bits; i++) {
		if (mask >> i & 1) {
			mask |= (uint64_t)1 << i % count;
		}
	}
	return count < 64 ? mask & (((uint64_t)1 << count) - 1) : mask;
}

bool tagmem_admit_masked(struct tagmem_attempt *attempt, uintptr_t address) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t mask = in_memory(plan, tagmem_mask_of(attempt));
	tagmem_add_place(attempt, tagmem_operand_at(plan, address, plan->size));
	for (unsigned i = 0; i < 64 && mask >> i != 0;) {
		unsigned first = i += (unsigned)__builtin_ctzll(mask >> i);
		while (i < 64 && mask >> i & 1) {
			i++;
		}
		if (!tagmem_allow(attempt,
		        tagmem_operand_at(plan, address + first * plan->element, (i - first) * plan->element))) {
			return false;
		}
	}
	return true;
}
