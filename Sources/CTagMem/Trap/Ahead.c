/*
 * What a signal costs is many times what an instruction costs that is done here. So when a refused instruction is done, those
 * behind it are done as well, as long as one of the next ones would be refused again: a loop over closed pages is then one
 * signal for many accesses. They are done like the refused one. But what is not allowed without any ado (a fault, an
 * asynchronous one, a signal, a system call, anything unknown) is left to the processor: it is refused, and judged, anew.
 */
#include "Trap.h"

#include <errno.h>
#include <string.h>
#include <sys/rseq.h>

/* Instructions without an access that would be refused, and all of them; traps that gained nothing before it is left. */
enum { idle_max = 32, total_max = 512, misses_max = 4 };

bool tagmem_goes_ahead = true;

/* Whether the kernel would refuse this access to a span: its page is closed, or the pointer has bits that only Arm ignores. */
static bool would_be_refused(uintptr_t address) {
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	const struct tagmem_span *span = pointer.span;
	if (address >> 56 != 0 || (__atomic_load_n(&span->closed_aliases, __ATOMIC_RELAXED) >> pointer.tag & 1)) {
		return true;
	}
	return __atomic_load_n(&span->closed[(address - span->base) >> tagmem_page_shift], __ATOMIC_RELAXED) != 0;
}

static bool overlaps(struct tagmem_operand operand, uintptr_t start, uintptr_t end) {
	return operand.address < end && operand.address + operand.size > start;
}

/* What the handler has in use, or restores when it returns; and what begins a restartable sequence, which a handler ends. */
static bool is_handlers(const struct tagmem_ahead *ahead, struct tagmem_operand operand) {
	uintptr_t error = (uintptr_t)&errno, sequence = (uintptr_t)__builtin_thread_pointer() + (uintptr_t)__rseq_offset;
	return overlaps(operand, ahead->stack, ahead->stack_end) || overlaps(operand, error, error + sizeof errno) ||
	    overlaps(operand, sequence, sequence + sizeof(struct rseq));
}

bool tagmem_ahead_may(struct tagmem_ahead *ahead, struct tagmem_operand operand) {
	switch (tagmem_judge(operand.address, operand.size, operand.is_store, false).verdict) {
	case TAGMEM_OUTSIDE:
		return !is_handlers(ahead, operand);
	case TAGMEM_ALLOWED:
		ahead->gains += tagmem_pointer_of(operand.address).span != NULL && would_be_refused(operand.address);
		return true;
	default:
		return false;
	}
}

/* The stack that the handler runs on: below the program's, if it is the same. */
static void find_stack(struct tagmem_ahead *ahead, const ucontext_t *context) {
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), rsp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
	ahead->stack = here - (64 << 10);
	ahead->stack_end = rsp - here < 1 << 20 ? rsp - 128 : (uintptr_t)context->uc_mcontext.fpregs + (16 << 10);
}

static bool do_next(struct tagmem_attempt *attempt, uintptr_t *pc) {
	uint8_t bytes[16];
	size_t count;
	uintptr_t next;
	struct tagmem_run before;
	attempt->plan = tagmem_plan_of(*pc, bytes, &count);
	if (attempt->plan == NULL) {
		return false;
	}
	memcpy(&before, &attempt->run, offsetof(struct tagmem_run, code));
	attempt->count = 0;
	attempt->stays = false;
	bool is_done = !attempt->plan->is_spare && tagmem_attempt(attempt, &next);
	if (is_done) {
		*pc = attempt->stays ? *pc : next;
	} else {
		memcpy(&attempt->run, &before, offsetof(struct tagmem_run, code));
	}
	tagmem_plan_drop(attempt->plan);
	return is_done;
}

void tagmem_go_ahead(struct tagmem_attempt *attempt, uintptr_t *pc) {
	struct tagmem_trap_result ignored;
	struct tagmem_ahead ahead = {.gains = 0};
	_Atomic uint8_t *misses = (_Atomic uint8_t *)&attempt->plan->misses;
	unsigned gains = 0, idle = 0;
	/* After some misses it is left for a while: the count wraps. */
	if (!tagmem_goes_ahead || attempt->run.flags & tagmem_tf || (*misses >= misses_max && ++*misses != 0)) {
		return;
	}
	find_stack(&ahead, attempt->context);
	attempt->ahead = &ahead;
	attempt->result = &ignored;
	for (unsigned total = 0; total < total_max && idle < idle_max && do_next(attempt, pc); total++) {
		idle = ahead.gains > gains ? 0 : idle + 1;
		gains = ahead.gains;
	}
	if (gains > 0) {
		*misses = 0;
	} else {
		++*misses;
	}
}
