/* Instructions that may raise SIGFPE. In rewritten code it would come with a wrong program counter, and its handler is the
 * program's; so whether they do is found with a copy of the operand. */
#include "trap.h"

#include <string.h>

enum { mxcsr_at = 24, header = 512, exceptions = 0x3f, masks = 0x1f80, largest = 64 };

/* A value of 1 to 16 bytes, sign extended. */
static __int128 extend(unsigned __int128 value, unsigned bytes) {
	unsigned unused = 128 - 8 * bytes;
	return (__int128)(value << unused) >> unused;
}

static unsigned __int128 magnitude(__int128 value) {
	return value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
}

/* Whether the quotient is none, or has no room. */
static bool overflows(const struct tagmem_plan *plan, const uint64_t *gpr, uint64_t divisor) {
	unsigned bits = 8 * plan->size;
	uint64_t low = gpr[tagmem_rax], high = gpr[tagmem_rdx];
	if (plan->size == 1) { /* ax */
		high = low >> 8;
	}
	uint64_t part = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
	unsigned __int128 dividend = (unsigned __int128)(high & part) << bits | (low & part);
	if (!plan->is_signed) {
		return (high & part) >= divisor;
	}
	__int128 numerator = extend(dividend, 2 * plan->size), denominator = extend(divisor, plan->size);
	bool is_negative = (numerator < 0) != (denominator < 0);
	unsigned __int128 quotients = ((unsigned __int128)1 << (bits - 1)) + is_negative;
	return denominator == 0 || magnitude(numerator) >= quotients * magnitude(denominator);
}

bool tagmem_do_divide(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t divisor = 0, *scratch = &attempt->run.gpr[plan->scratch], kept = *scratch;
	if (!tagmem_fetch(attempt, &divisor, &attempt->places[0])) {
		return false;
	}
	if (overflows(plan, attempt->run.gpr, divisor)) {
		return tagmem_attempt_raise(attempt, SIGFPE, FPE_INTDIV, plan->pc);
	}
	*scratch = (uint64_t)&divisor;
	bool is_done = tagmem_do(attempt);
	*scratch = kept;
	return is_done;
}

static uint32_t mxcsr_of(const uint8_t *state) {
	uint32_t value;
	memcpy(&value, state + mxcsr_at, sizeof value);
	return value;
}

static void set_mxcsr(uint8_t *state, uint32_t value) {
	memcpy(state + mxcsr_at, &value, sizeof value);
}

bool tagmem_has_unmasked(const struct tagmem_attempt *attempt) {
	return attempt->plan->may_raise && (mxcsr_of(attempt->run.state) & masks) != masks;
}

/* As the kernel says it, in the order in which it looks. */
static int code_of(uint32_t raised) {
	return raised & 0x01 ? FPE_FLTINV
	    : raised & 0x04  ? FPE_FLTDIV
	    : raised & 0x08  ? FPE_FLTOVF
	    : raised & 0x12  ? FPE_FLTUND
	                     : FPE_FLTRES;
}

/* Done first with all exceptions masked, and with copies of the operand and of the state. */
__attribute__((noinline)) bool tagmem_do_unmasked(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	struct tagmem_run *run = &attempt->run, dry = *run;
	_Alignas(64) uint8_t copy[4096], operand[2 * largest];
	uint8_t *state = run->state, *at = operand + (uintptr_t)attempt->places[0].at % largest;
	uint32_t mxcsr = mxcsr_of(state), size;
	memcpy(&size, state + 480, sizeof size); /* of the whole; tiles are behind what is needed here */
	memcpy(copy, state, size < sizeof copy ? size : sizeof copy);
	set_mxcsr(copy, (mxcsr | masks) & ~(uint32_t)exceptions);
	if (plan->is_load && !tagmem_fetch(attempt, at, &attempt->places[0])) {
		return false;
	}
	dry.state = copy;
	dry.gpr[plan->scratch] = (uint64_t)at;
	dry.code = plan->code;
	dry.flags &= ~(uint64_t)(tagmem_tf | tagmem_rf);
	tagmem_run(&dry);
	if (dry.signal.number != 0) {
		tagmem_tell(attempt, dry.signal);
		return false;
	}
	uint32_t raised = mxcsr_of(copy) & exceptions;
	if (raised & ~(mxcsr & masks) >> 7 & exceptions) {
		set_mxcsr(state, mxcsr | raised);
		return tagmem_attempt_raise(attempt, SIGFPE, code_of(raised & ~(mxcsr >> 7)), plan->pc);
	}
	/* What is loaded is loaded once. */
	if (plan->is_load) {
		run->gpr[plan->scratch] = (uint64_t)at;
	}
	return tagmem_do(attempt);
}
