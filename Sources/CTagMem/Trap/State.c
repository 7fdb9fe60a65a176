/* What xsave and kin access: a legacy part and a header, and the components that edx:eax asks for. */
#include "Trap.h"

#include <string.h>

enum { basic = 576, header = 512, header_bytes = 64 };

static uint64_t enabled(void) {
	uint32_t low, high;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static uint32_t standard_size(uint64_t components) {
	uint32_t end = basic;
	for (int i = 2; i < 63; i++) {
		if (components >> i & 1) {
			struct tagmem_component component = tagmem_component(i);
			end = component.offset + component.size > end ? component.offset + component.size : end;
		}
	}
	return end;
}

/* One after the other: those that `layout` has, up to the last that `components` has. */
static uint32_t compacted_size(uint64_t layout, uint64_t components) {
	uint32_t at = basic, end = basic;
	for (int i = 2; i < 63; i++) {
		if (layout >> i & 1) {
			struct tagmem_component component = tagmem_component(i);
			at = component.is_aligned ? (at + 63) & ~63u : at;
			at += component.size;
			end = components >> i & 1 ? at : end;
		}
	}
	return end;
}

static bool is_xsavec(const struct tagmem_plan *plan) {
	return plan->is_store && !plan->is_load;
}

bool tagmem_admit_state(struct tagmem_attempt *attempt, uintptr_t address) {
	const struct tagmem_plan *plan = attempt->plan;
	const uint64_t *gpr = attempt->run.gpr;
	uint64_t asked = enabled() & (gpr[tagmem_rdx] << 32 | (uint32_t)gpr[tagmem_rax]), words[header_bytes / 8];
	if (plan->is_store) {
		uint32_t size = is_xsavec(plan) ? compacted_size(asked, asked) : standard_size(asked);
		return tagmem_admit(attempt, tagmem_operand_at(plan, address, size));
	}
	/* xrstor: the header says which components are there, and how. */
	struct tagmem_operand whole = tagmem_load(address, basic);
	struct tagmem_place place = tagmem_place_of(tagmem_load(address + header, header_bytes));
	tagmem_add_place(attempt, whole);
	if (!tagmem_allow(attempt, whole) || !tagmem_fetch(attempt, words, &place)) {
		return false;
	}
	uint64_t present = asked & words[0];
	bool is_compacted = words[1] >> 63;
	whole.size = is_compacted ? compacted_size(words[1] & ~((uint64_t)1 << 63), present) : standard_size(present);
	attempt->places[0].operand = whole;
	return whole.size == basic || tagmem_allow(attempt, whole);
}
