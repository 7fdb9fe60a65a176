/* Where the next instruction is. */
#include "Trap.h"

size_t tagmem_instruction_length(uintptr_t pc) {
	uint8_t bytes[16];
	size_t count = 0;
	const struct tagmem_plan *plan = tagmem_plan_of(pc, bytes, &count);
	if (plan == NULL) {
		return 0;
	}
	size_t length = plan->length;
	tagmem_plan_drop(plan);
	return length;
}
