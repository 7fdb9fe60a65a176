/* String instructions. Of a repeated one, many iterations are done at once, by the processor; it then goes on by itself. */
#include "Trap.h"

enum { many = 64 << 10 };

struct string {
	uint64_t limit; /* of its registers */
	int64_t step;
	uintptr_t rsi, rdi; /* addresses */
	uint64_t left, count; /* iterations: of it, and that are done at once */
};

static uintptr_t lowest(const struct string *string, uintptr_t address, uint64_t count) {
	return string->step < 0 ? address + (uint64_t)string->step * (count - 1) : address;
}

/* Whether `count` accesses from `address` on have a verdict alike: none faults. An asynchronous fault among them is
 * reported as that of its own element. */
static bool is_even(const struct tagmem_attempt *attempt, const struct string *string, uintptr_t address, bool is_store,
    uintptr_t *deferred) {
	uintptr_t first = lowest(string, address, string->count);
	struct tagmem_judgement judgement =
	    tagmem_judge(first, string->count * attempt->plan->size, is_store, false);
	if (judgement.verdict == TAGMEM_ALLOWED_DEFERRED) {
		uintptr_t in = judgement.address - first;
		*deferred = first + (in < string->count * attempt->plan->size ? in - in % attempt->plan->size : 0);
		return true;
	}
	return judgement.verdict == TAGMEM_ALLOWED || judgement.verdict == TAGMEM_OUTSIDE;
}

/* Admits as many iterations at once as go without a fault, or a single one. */
static bool admit(struct tagmem_attempt *attempt, struct string *string) {
	const struct tagmem_plan *plan = attempt->plan;
	uint32_t size = plan->size;
	bool stores = plan->is_store;
	uintptr_t load = 0, store = 0;
	for (; string->count > 1; string->count /= 2) {
		load = store = 0;
		if ((!plan->has_rsi || is_even(attempt, string, string->rsi, false, &load)) &&
		    (!plan->has_rdi || is_even(attempt, string, string->rdi, stores, stores ? &store : &load))) {
			break;
		}
	}
	if (string->count > 1) {
		uint32_t bytes = (uint32_t)string->count * size;
		struct tagmem_operand rsi = tagmem_load(lowest(string, string->rsi, string->count), bytes);
		struct tagmem_operand rdi = tagmem_load(lowest(string, string->rdi, string->count), bytes);
		if (stores) {
			rdi = tagmem_store(rdi.address, bytes);
		}
		if (attempt->ahead != NULL) {
			return (!plan->has_rsi || tagmem_admit(attempt, rsi)) && (!plan->has_rdi || tagmem_admit(attempt, rdi));
		}
		if (plan->has_rsi) {
			tagmem_add_place(attempt, rsi);
		}
		if (plan->has_rdi) {
			tagmem_add_place(attempt, rdi);
		}
		return (load == 0 || tagmem_allow(attempt, tagmem_load(load, size))) &&
		    (store == 0 || tagmem_allow(attempt, tagmem_store(store, size)));
	}
	struct tagmem_operand rdi = stores ? tagmem_store(string->rdi, size) : tagmem_load(string->rdi, size);
	return (!plan->has_rsi || tagmem_admit(attempt, tagmem_load(string->rsi, size))) &&
	    (!plan->has_rdi || tagmem_admit(attempt, rdi));
}

static uint64_t where(const struct string *string, const struct tagmem_place *place, uintptr_t address) {
	return (uint64_t)place->at + (address - lowest(string, address, string->count));
}

bool tagmem_do_string(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	uint64_t *gpr = attempt->run.gpr;
	struct string string = {.limit = plan->form.is_short ? UINT32_MAX : UINT64_MAX, .left = 1, .count = 1};
	string.step = attempt->run.flags & tagmem_df ? -(int64_t)plan->size : (int64_t)plan->size;
	string.rsi = (gpr[tagmem_rsi] & string.limit) + (plan->form.segment ? tagmem_segment_base(plan->form.segment) : 0);
	string.rdi = gpr[tagmem_rdi] & string.limit;
	if (plan->repeats) {
		string.left = gpr[tagmem_rcx] & string.limit;
		if (string.left == 0) {
			return true;
		}
		/* Addresses of 32 bits may wrap. */
		uint64_t most = plan->form.is_short ? 1 : many / plan->size;
		string.count = string.left < most ? string.left : most;
	}
	if (!admit(attempt, &string) || !tagmem_concerns(attempt)) {
		return false;
	}

	uint64_t rsi = gpr[tagmem_rsi], rdi = gpr[tagmem_rdi], rcx = gpr[tagmem_rcx];
	const struct tagmem_place *place = attempt->places;
	gpr[tagmem_rsi] = plan->has_rsi ? where(&string, place++, string.rsi) : rsi;
	gpr[tagmem_rdi] = plan->has_rdi ? where(&string, place, string.rdi) : rdi;
	gpr[tagmem_rcx] = plan->repeats ? string.count : rcx;
	bool is_done = tagmem_do(attempt);
	uint64_t done = plan->repeats ? string.count - gpr[tagmem_rcx] : is_done;
	gpr[tagmem_rsi] = rsi;
	gpr[tagmem_rdi] = rdi;
	gpr[tagmem_rcx] = rcx;
	if (done == 0) {
		return false;
	}
	if (plan->has_rsi) {
		gpr[tagmem_rsi] = (rsi + done * (uint64_t)string.step) & string.limit;
	}
	if (plan->has_rdi) {
		gpr[tagmem_rdi] = (rdi + done * (uint64_t)string.step) & string.limit;
	}
	if (plan->repeats) {
		gpr[tagmem_rcx] = string.left - done;
		bool is_equal = attempt->run.flags & tagmem_zf;
		bool ends = plan->has_condition && is_equal != (plan->repeats == 0xf3);
		attempt->stays = !is_done || (string.left != done && !ends);
	}
	return true;
}
