/* Instructions with one operand in memory: done as they are, through the plain alias. */
#include "Trap.h"

#include <string.h>

/* bt and kin with a register: how far from their operand they access memory. */
static int64_t bit_distance(const struct tagmem_plan *plan, const uint64_t *gpr) {
	int64_t offset = (int64_t)gpr[plan->operand];
	switch (plan->size) {
	case 2: return ((int16_t)offset >> 4) * 2;
	case 4: return ((int32_t)offset >> 5) * 4;
	default: return (offset >> 6) * 8;
	}
}

/* An x87 instruction leaves where it was and what it accessed in the state: the program's addresses are to be there. */
static void mend_pointers(const struct tagmem_attempt *attempt) {
	uint64_t *pointers = (uint64_t *)((uint8_t *)attempt->run.state + 8); /* the instruction's, the operand's */
	if (pointers[0] == (uint64_t)attempt->plan->code) {
		pointers[0] = attempt->plan->pc;
		if (attempt->count > 0 && pointers[1] == (uint64_t)attempt->places[0].at) {
			pointers[1] = attempt->places[0].operand.address;
		}
	}
}

/* The instruction with another register for rsp, if it has that. */
static bool do_with_stand_in(struct tagmem_attempt *attempt) {
	uint64_t *gpr = attempt->run.gpr, kept = 0;
	int stand_in = attempt->plan->stand_in;
	if (stand_in >= 0) {
		kept = gpr[stand_in];
		gpr[stand_in] = gpr[tagmem_rsp];
	}
	bool is_done = tagmem_do(attempt);
	if (stand_in >= 0) {
		gpr[tagmem_rsp] = gpr[stand_in];
		gpr[stand_in] = kept;
	}
	return is_done;
}

bool tagmem_do_registers(struct tagmem_attempt *attempt) {
	if (!do_with_stand_in(attempt)) {
		return false;
	}
	if (attempt->plan->reads == TAGMEM_STATE_ALL) {
		mend_pointers(attempt);
	}
	return true;
}

bool tagmem_do_access(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t *gpr = attempt->run.gpr;
	uintptr_t address = tagmem_address(&plan->form, gpr);
	int64_t distance = 0;
	bool is_admitted = true;
	switch (plan->kind) {
	case TAGMEM_KIND_STATE: is_admitted = tagmem_admit_state(attempt, address); break;
	case TAGMEM_KIND_MASKED: is_admitted = tagmem_admit_masked(attempt, address); break;
	case TAGMEM_KIND_IMPLIED:
		if (plan->mask_bits > 0) {
			is_admitted = tagmem_admit_masked(attempt, address);
			break;
		}
		address &= ~(uintptr_t)(plan->size - 1);
		is_admitted = tagmem_admit(attempt, tagmem_store(address, plan->size));
		break;
	default:
		if (plan->kind == TAGMEM_KIND_BIT) {
			distance = bit_distance(plan, gpr);
		}
		if (plan->is_touched) {
			is_admitted = tagmem_admit(attempt, tagmem_operand_at(plan, address + (uint64_t)distance, plan->size));
		} else {
			tagmem_add_place(attempt, tagmem_operand_at(plan, address, plan->size));
		}
		break;
	}
	if (!is_admitted || !tagmem_concerns(attempt)) {
		return false;
	}

	if (plan->kind == TAGMEM_KIND_DIVIDE) {
		return tagmem_do_divide(attempt);
	}
	int through = plan->kind == TAGMEM_KIND_IMPLIED ? plan->operand : plan->scratch;
	uint64_t kept = gpr[through];
	gpr[through] = (uint64_t)attempt->places[0].at - (uint64_t)distance;
	bool is_done = do_with_stand_in(attempt);
	gpr[through] = kept;
	if (is_done && plan->reads == TAGMEM_STATE_ALL) {
		mend_pointers(attempt);
	}
	return is_done;
}
