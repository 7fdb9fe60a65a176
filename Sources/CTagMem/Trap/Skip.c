/* An instruction that is not to be done. */
#include "Trap.h"

#include <tagmem/environment.h>

bool tagmem_skip_instruction(void *context) {
	greg_t *counter = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	uint8_t bytes[16];
	size_t count = 0;
	const struct tagmem_plan *plan = tagmem_plan_of((uintptr_t)*counter, bytes, &count);
	if (plan == NULL)
		return false;
	*counter += plan->length;
	tagmem_plan_drop(plan);
	return true;
}
