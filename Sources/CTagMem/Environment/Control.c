/* prctl: what Linux's arm64 says of tagged addresses, with its checks. */
#include "Environment.h"

#include <linux/prctl.h>
#include <stdarg.h>

#ifndef PR_MTE_STORE_ONLY
#define PR_MTE_STORE_ONLY (1ul << 19)
#endif

/* Whether the program has anything to do with MTE. If not, this is a machine without. */
static bool has_mte(void) {
	bool has = tagmem_environment != NULL;
	for (size_t i = 0; i < tagmem_span_count; i++)
		has |= tagmem_spans[i] != NULL;
	return has;
}

static int set_control(unsigned long control) {
	const unsigned long known = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC | PR_MTE_TAG_MASK |
				    PR_MTE_STORE_ONLY;
	if (control & ~known)
		return -EINVAL;
	tagmem_thread.control = control;
	tagmem_drawn.count = 0;
	tagmem_thread.has_control = true;
	return 0;
}

int tagmem_begin_in_mode(const char *name) {
	/* IRG gives no tag 0, as where glibc turns checks on. */
	unsigned long control = PR_TAGGED_ADDR_ENABLE | 0xfffeul << PR_MTE_TAG_SHIFT;
	size_t length = strcspn(name, ",");
	bool is_store_only = strcmp(name + length, ",store-only") == 0;
	if (name[length] != 0 && !is_store_only)
		return EINVAL;
	unsigned long faults = tagmem_mode_named(name, length);
	if (faults == 0 && !(length == 4 && memcmp(name, "none", length) == 0))
		return EINVAL;
	if (faults == (PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC)) /* which is not for a thread to choose, but for the machine */
		tagmem_preferred = faults;
	return -set_control(control | faults | (is_store_only ? PR_MTE_STORE_ONLY : 0));
}

int prctl(int option, ...);

TAGMEM_EXPORT int prctl(int option, ...) {
	va_list list;
	va_start(list, option);
	unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long);
	unsigned long c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
	va_end(list);
	tagmem_begin();
	tagmem_deliver_deferred();
	if (!has_mte())
		return (int)tagmem_result(tagmem_call(SYS_prctl, option, a, b, c, d));
	switch (option) {
	case PR_SET_TAGGED_ADDR_CTRL: return (int)tagmem_result(b || c || d ? -EINVAL : set_control(a));
	case PR_GET_TAGGED_ADDR_CTRL:
		return (int)tagmem_result(a || b || c || d ? -EINVAL : (long)tagmem_thread.control);
	default: return (int)tagmem_result(tagmem_call(SYS_prctl, option, a, b, c, d));
	}
}
