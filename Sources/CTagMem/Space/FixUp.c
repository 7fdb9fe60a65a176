/* What Touch.S does when it meets what is gone. */
#include "internal.h"

extern const char tagmem_touch_begin[], tagmem_touch_end[], tagmem_touch_failed[];

bool tagmem_fix_up(ucontext_t *context) {
	greg_t *counter = &context->uc_mcontext.gregs[REG_RIP];
	if (*counter < (greg_t)tagmem_touch_begin || *counter >= (greg_t)tagmem_touch_end) return false;
	*counter = (greg_t)tagmem_touch_failed;
	return true;
}
