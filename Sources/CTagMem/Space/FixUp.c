/* What Touch.S does when it meets what is gone. */
#include "internal.h"

extern const char tagmem_touch_begin[], tagmem_touch_end[], tagmem_touch_failed[];

/* Programs and their libraries have a copy each. What there is no more room for is not mended. */
enum { leaves_max = 64 };
static struct leaves {
	const char *begin, *end;
} leaves[leaves_max];
static _Atomic unsigned leaves_count;

void tagmem_add_leaves(const char *begin, const char *end) {
	unsigned index = leaves_count++;
	if (index < leaves_max) leaves[index] = (struct leaves){ begin, end };
}

static bool is_leaf(const char *counter) {
	for (size_t i = 0; i < leaves_max && i < leaves_count; i++) {
		if (counter >= leaves[i].begin && counter < leaves[i].end) return true;
	}
	return false;
}

bool tagmem_fix_up(ucontext_t *context) {
	greg_t *registers = context->uc_mcontext.gregs;
	const char *counter = (const char *)registers[REG_RIP];
	if (counter >= tagmem_touch_begin && counter < tagmem_touch_end) {
		registers[REG_RIP] = (greg_t)tagmem_touch_failed;
		return true;
	}
	if (is_leaf(counter)) {
		registers[REG_RIP] = *(const greg_t *)registers[REG_RSP];
		registers[REG_RSP] += sizeof(greg_t);
		return true;
	}
	return false;
}
