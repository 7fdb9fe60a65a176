/* Conditional branches and lea, which are done ahead. */
#include "Trap.h"

bool tagmem_do_branch(struct tagmem_attempt *attempt, uintptr_t *pc) {
	uint64_t flags = attempt->run.flags;
	bool carry = flags & 1, parity = flags >> 2 & 1, zero = flags >> 6 & 1, sign = flags >> 7 & 1, overflow = flags >> 11 & 1;
	const bool conditions[8] = {overflow, carry, zero, carry || zero, sign, parity, sign != overflow,
	    zero || sign != overflow};
	if (conditions[attempt->plan->condition >> 1] != (attempt->plan->condition & 1)) {
		*pc = (uintptr_t)attempt->plan->value;
	}
	return true;
}

bool tagmem_do_lea(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t address = tagmem_address(&plan->form, attempt->run.gpr), *to = &attempt->run.gpr[plan->operand];
	*to = plan->size == 8 ? address : plan->size == 4 ? (uint32_t)address : (*to & ~(uint64_t)0xffff) | (uint16_t)address;
	return true;
}
