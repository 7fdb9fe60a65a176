/* A division by what is in memory. Whether it has a quotient is found before it is done: the signal that it would raise comes
 * to the program's own handler, and with a program counter that is none of the program's. */
#include "Trap.h"

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
	uint64_t part = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
	uint64_t low = gpr[tagmem_rax] & part, high = (bits == 8 ? gpr[tagmem_rax] >> 8 : gpr[tagmem_rdx]) & part;
	if (!plan->is_signed) {
		return high >= divisor;
	}
	__int128 numerator = extend((unsigned __int128)high << bits | low, 2 * plan->size);
	__int128 denominator = extend(divisor, plan->size);
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
	*scratch = (uint64_t)&divisor; /* it is loaded once */
	bool is_done = tagmem_do(attempt);
	*scratch = kept;
	return is_done;
}
