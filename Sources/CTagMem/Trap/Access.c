/* What an instruction accesses: where that is done, whether it may be, and what came of it. */
#include "Trap.h"

#include <string.h>

struct tagmem_place tagmem_place_of(struct tagmem_operand operand) {
	struct tagmem_pointer pointer = tagmem_pointer_of(operand.address);
	struct tagmem_place place = {.operand = operand, .at = (char *)operand.address};
	if (pointer.span != NULL) {
		place.at = pointer.span->plain + pointer.offset;
		place.is_in_span = true;
	}
	return place;
}

/* What loads and stores is judged as a load and then as a store; but that nothing may be stored there comes first. */
static struct tagmem_judgement judge(struct tagmem_operand operand) {
	if (!operand.is_load || !operand.is_store) {
		return tagmem_judge(operand.address, operand.size, operand.is_store, true);
	}
	struct tagmem_judgement store = tagmem_judge(operand.address, operand.size, true, false);
	if (store.verdict != TAGMEM_TAG_FAULT && store.verdict != TAGMEM_ALLOWED_DEFERRED) {
		return store;
	}
	struct tagmem_judgement load = tagmem_judge(operand.address, operand.size, false, true);
	return load.verdict != TAGMEM_ALLOWED ? load : tagmem_judge(operand.address, operand.size, true, true);
}

bool tagmem_allow(struct tagmem_attempt *attempt, struct tagmem_operand operand) {
	struct tagmem_trap_result *result = attempt->result;
	if (attempt->ahead != NULL) {
		return tagmem_ahead_may(attempt->ahead, operand);
	}
	struct tagmem_judgement judgement = judge(operand);
	switch (judgement.verdict) {
	case TAGMEM_OUTSIDE:
	case TAGMEM_ALLOWED:
		return true;
	case TAGMEM_ALLOWED_DEFERRED:
		if (!result->has_deferred_fault) {
			result->has_deferred_fault = true;
			result->judgement = judgement;
			result->operand = operand;
		}
		return true;
	default:
		result->trap = TAGMEM_TRAP_FAULT;
		result->judgement = judgement;
		result->operand = operand;
		return false;
	}
}

void tagmem_add_place(struct tagmem_attempt *attempt, struct tagmem_operand operand) {
	attempt->places[attempt->count++] = tagmem_place_of(operand);
}

bool tagmem_admit(struct tagmem_attempt *attempt, struct tagmem_operand operand) {
	tagmem_add_place(attempt, operand);
	return tagmem_allow(attempt, operand);
}

bool tagmem_attempt_raise(struct tagmem_attempt *attempt, int number, int code, uintptr_t address) {
	attempt->result->trap = TAGMEM_TRAP_SIGNAL;
	attempt->result->signal = (struct tagmem_signal){.number = number, .code = code, .address = address};
	return false;
}

void tagmem_tell(struct tagmem_attempt *attempt, struct tagmem_signal signal) {
	for (int i = 0; i < attempt->count; i++) {
		const struct tagmem_place *place = &attempt->places[i];
		uintptr_t in = signal.address - (uintptr_t)place->at;
		/* A misaligned access and a wrong operand are the program's, on any memory. */
		if (!place->is_in_span || in >= place->operand.size || signal.code == SI_KERNEL || signal.number == SIGFPE ||
		    (signal.number == SIGBUS && signal.code == BUS_ADRALN)) {
			continue;
		}
		attempt->result->trap = TAGMEM_TRAP_FAULT;
		attempt->result->judgement = (struct tagmem_judgement){
		    .verdict = signal.number == SIGBUS ? TAGMEM_GONE : TAGMEM_UNMAPPED, .address = place->operand.address + in};
		attempt->result->operand = place->operand;
		return;
	}
	tagmem_attempt_raise(attempt, signal.number, signal.code, signal.address);
}

bool tagmem_do(struct tagmem_attempt *attempt) {
	struct tagmem_run *run = &attempt->run;
	uint64_t flags = run->flags;
	run->code = attempt->plan->code;
	run->signal.number = 0;
	/* A debugger's single step is not for the code here. */
	run->flags = flags & ~(uint64_t)(tagmem_tf | tagmem_rf);
	tagmem_run(run);
	run->flags |= flags & tagmem_tf;
	if (run->signal.number != 0) {
		if (run->signal.number == SIGFPE) { /* of the instruction itself */
			run->signal.address = attempt->plan->pc;
		}
		tagmem_tell(attempt, run->signal);
		return false;
	}
	return true;
}

bool tagmem_fetch(struct tagmem_attempt *attempt, void *to, const struct tagmem_place *place) {
	struct tagmem_signal signal;
	if (tagmem_copy(to, place->at, place->operand.size, &signal) != 0) {
		tagmem_tell(attempt, signal);
		return false;
	}
	return true;
}

bool tagmem_put(struct tagmem_attempt *attempt, const struct tagmem_place *place, const void *from) {
	struct tagmem_signal signal;
	if (tagmem_copy(place->at, from, place->operand.size, &signal) != 0) {
		tagmem_tell(attempt, signal);
		return false;
	}
	return true;
}

bool tagmem_concerns(struct tagmem_attempt *attempt) {
	for (int i = 0; i < attempt->count; i++) {
		if (attempt->places[i].is_in_span) {
			return true;
		}
	}
	attempt->result->trap = TAGMEM_TRAP_NOT_OURS;
	return attempt->ahead != NULL;
}
