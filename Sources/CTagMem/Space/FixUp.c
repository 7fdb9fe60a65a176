/* What Touch.S does when it meets what is gone. */
#include "internal.h"

extern const char tagmem_touch_begin[], tagmem_touch_end[], tagmem_touch_failed[];

static const char *leaves_begin, *leaves_end;

void tagmem_set_leaves(const char *begin, const char *end) {
	leaves_begin = begin;
	leaves_end = end;
}

bool tagmem_fix_up(ucontext_t *context) {
	greg_t *registers = context->uc_mcontext.gregs;
	const char *counter = (const char *)registers[REG_RIP];
	if (counter >= tagmem_touch_begin && counter < tagmem_touch_end) {
		registers[REG_RIP] = (greg_t)tagmem_touch_failed;
		return true;
	}
	if (counter >= leaves_begin && counter < leaves_end) {
		registers[REG_RIP] = *(const greg_t *)registers[REG_RSP];
		registers[REG_RSP] += sizeof(greg_t);
		return true;
	}
	return false;
}
