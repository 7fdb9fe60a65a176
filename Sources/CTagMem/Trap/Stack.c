/* Instructions that access the stack, jumps through memory, and xlat. */
#include "Trap.h"

#include <string.h>

/* What popf changes of a program's flags, and what pushf shows. */
enum { changed_flags = 0x244dd5, hidden_flags = 0x30000 };

static uint64_t segment(int name) {
	uint16_t selector;
	if (name == 'f') {
		__asm__("mov %%fs, %0" : "=r"(selector));
	} else {
		__asm__("mov %%gs, %0" : "=r"(selector));
	}
	return selector;
}

/* The value of a push, call or jump; admits and loads it if it is in memory. */
static bool admit_source(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	return plan->source != TAGMEM_IN_MEMORY ||
	    tagmem_admit(attempt, tagmem_load(tagmem_address(&plan->form, attempt->run.gpr), plan->size));
}

static bool load_source(struct tagmem_attempt *attempt, uint64_t *value) {
	const struct tagmem_plan *plan = attempt->plan;
	*value = 0;
	switch (plan->source) {
	case TAGMEM_IN_MEMORY: return tagmem_fetch(attempt, value, &attempt->places[0]);
	case TAGMEM_IN_REGISTER: *value = attempt->run.gpr[plan->operand]; break;
	case TAGMEM_IN_VALUE: *value = (uint64_t)plan->value; break;
	case TAGMEM_IN_FLAGS: *value = attempt->run.flags & ~(uint64_t)hidden_flags; break;
	case TAGMEM_IN_SEGMENT: *value = segment(plan->operand); break;
	}
	return true;
}

static bool do_push(struct tagmem_attempt *attempt) {
	uint64_t value, *rsp = &attempt->run.gpr[tagmem_rsp];
	uint32_t size = attempt->plan->size;
	if (!admit_source(attempt) || !tagmem_admit(attempt, tagmem_store(*rsp - size, size)) || !tagmem_concerns(attempt) ||
	    !load_source(attempt, &value) || !tagmem_put(attempt, &attempt->places[attempt->count - 1], &value)) {
		return false;
	}
	*rsp -= size;
	return true;
}

static bool do_pop(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t value = 0, *gpr = attempt->run.gpr, rsp = gpr[tagmem_rsp];
	if (!tagmem_admit(attempt, tagmem_load(rsp, plan->size))) {
		return false;
	}
	gpr[tagmem_rsp] += plan->size; /* the operand's address is computed with that */
	if ((plan->source == TAGMEM_IN_MEMORY &&
	        !tagmem_admit(attempt, tagmem_store(tagmem_address(&plan->form, gpr), plan->size))) ||
	    !tagmem_concerns(attempt) || !tagmem_fetch(attempt, &value, &attempt->places[0])) {
		return false;
	}
	if (plan->source == TAGMEM_IN_MEMORY) {
		return tagmem_put(attempt, &attempt->places[1], &value);
	}
	if (plan->source == TAGMEM_IN_FLAGS) {
		uint64_t changed = plan->size == 2 ? changed_flags & 0xffff : changed_flags;
		attempt->run.flags = (attempt->run.flags & ~changed) | (value & changed);
	} else {
		memcpy(&gpr[plan->operand], &value, plan->size);
	}
	return true;
}

/* Where a branch goes to: a general protection fault of the branch if that is no address. */
static bool go(struct tagmem_attempt *attempt, uint64_t target, uintptr_t *pc) {
	if ((uint64_t)((int64_t)(target << 7) >> 7) != target) {
		return tagmem_attempt_raise(attempt, SIGSEGV, SI_KERNEL, 0);
	}
	*pc = target;
	return true;
}

/* Calls and returns have a second stack then, which is not kept up here. */
static bool has_shadow_stack(struct tagmem_attempt *attempt) {
	uint64_t pointer = 0;
	__asm__ volatile("rdsspq %0" : "+r"(pointer));
	if (pointer != 0) {
		attempt->result->trap = TAGMEM_TRAP_UNKNOWN;
	}
	return pointer != 0;
}

static bool do_call(struct tagmem_attempt *attempt, uintptr_t *pc) {
	uint64_t target, next = attempt->plan->pc + attempt->plan->length, *rsp = &attempt->run.gpr[tagmem_rsp];
	if (has_shadow_stack(attempt) || !admit_source(attempt) || !tagmem_admit(attempt, tagmem_store(*rsp - 8, 8)) ||
	    !tagmem_concerns(attempt) || !load_source(attempt, &target) || !go(attempt, target, pc)) {
		return false;
	}
	*rsp -= 8;
	return tagmem_put(attempt, &attempt->places[attempt->count - 1], &next);
}

static bool do_jump(struct tagmem_attempt *attempt, uintptr_t *pc) {
	uint64_t target;
	return admit_source(attempt) && tagmem_concerns(attempt) && load_source(attempt, &target) && go(attempt, target, pc);
}

static bool do_return(struct tagmem_attempt *attempt, uintptr_t *pc) {
	uint64_t target, *rsp = &attempt->run.gpr[tagmem_rsp];
	if (has_shadow_stack(attempt) || !tagmem_admit(attempt, tagmem_load(*rsp, 8)) || !tagmem_concerns(attempt) ||
	    !tagmem_fetch(attempt, &target, &attempt->places[0]) || !go(attempt, target, pc)) {
		return false;
	}
	*rsp += 8 + (uint64_t)attempt->plan->value;
	return true;
}

static bool do_enter(struct tagmem_attempt *attempt) {
	uint64_t *gpr = attempt->run.gpr, words[17], frame = gpr[tagmem_rsp] - 8;
	unsigned levels = attempt->plan->levels, outer = levels > 0 ? levels - 1 : 0, count = levels > 0 ? 1 + levels : 1;
	uintptr_t lowest = gpr[tagmem_rsp] - 8 * count;
	/* From the top down: rbp, those that it points to, and the new frame. */
	if (!tagmem_admit(attempt, tagmem_store(lowest, 8 * count)) ||
	    (outer > 0 && !tagmem_admit(attempt, tagmem_load(gpr[tagmem_rbp] - 8 * outer, 8 * outer))) ||
	    !tagmem_concerns(attempt) || (outer > 0 && !tagmem_fetch(attempt, words + 1, &attempt->places[1]))) {
		return false;
	}
	words[0] = frame;
	words[count - 1] = gpr[tagmem_rbp];
	if (!tagmem_put(attempt, &attempt->places[0], words)) {
		return false;
	}
	gpr[tagmem_rbp] = frame;
	gpr[tagmem_rsp] = lowest - (uint64_t)attempt->plan->value;
	return true;
}

static bool do_leave(struct tagmem_attempt *attempt) {
	uint64_t *gpr = attempt->run.gpr, frame = gpr[tagmem_rbp], value = frame;
	uint32_t size = attempt->plan->size;
	if (!tagmem_admit(attempt, tagmem_load(frame, size)) || !tagmem_concerns(attempt) ||
	    !tagmem_fetch(attempt, &value, &attempt->places[0])) {
		return false;
	}
	gpr[tagmem_rbp] = value;
	gpr[tagmem_rsp] = frame + size;
	return true;
}

static bool do_table(struct tagmem_attempt *attempt) {
	struct tagmem_form form = attempt->plan->form;
	form.displacement = (int64_t)(attempt->run.gpr[tagmem_rax] & 0xff);
	return tagmem_admit(attempt, tagmem_load(tagmem_address(&form, attempt->run.gpr), 1)) && tagmem_concerns(attempt) &&
	    tagmem_fetch(attempt, &attempt->run.gpr[tagmem_rax], &attempt->places[0]);
}

bool tagmem_do_stack(struct tagmem_attempt *attempt, uintptr_t *pc) {
	switch (attempt->plan->kind) {
	case TAGMEM_KIND_PUSH: return do_push(attempt);
	case TAGMEM_KIND_POP: return do_pop(attempt);
	case TAGMEM_KIND_CALL: return do_call(attempt, pc);
	case TAGMEM_KIND_JUMP: return do_jump(attempt, pc);
	case TAGMEM_KIND_RETURN: return do_return(attempt, pc);
	case TAGMEM_KIND_ENTER: return do_enter(attempt);
	case TAGMEM_KIND_LEAVE: return do_leave(attempt);
	default: return do_table(attempt);
	}
}
