/* What is said and asked of memory that is there already: there is little to do but to say whether it is mapped. */
#include "PageRange.h"

static int is_mapped(const void *address, size_t length, bool must_be_aligned) {
	struct tagmem_page_range range;
	int error = tagmem_page_range(address, length, must_be_aligned, &range);
	if (error == EINVAL && (uintptr_t)address % tagmem_page == 0)
		error = ENOMEM;
	if (!error && range.start < range.end && !tagmem_is_mapped(range.start, range.end))
		error = ENOMEM;
	return (int)tagmem_result(-error);
}

TAGMEM_EXPORT int msync(void *address, size_t length, int flags) {
	tagmem_deliver_deferred();
	if (!tagmem_is_in_span(address))
		return (int)tagmem_result(tagmem_call_cancellable(SYS_msync, address, length, flags));
	if (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE) || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return (int)tagmem_result(-EINVAL);
	int result = is_mapped(address, length, true);
	if (result == 0) {
		tagmem_lock_environment();
		tagmem_write_adopted();
		tagmem_unlock_environment();
	}
	return result;
}

TAGMEM_EXPORT int mlock(const void *address, size_t length) {
	return tagmem_is_in_span(address) ? is_mapped(address, length, false)
				: (int)tagmem_result(tagmem_call(SYS_mlock, address, length));
}

TAGMEM_EXPORT int mlock2(const void *address, size_t length, unsigned flags) {
	if (!tagmem_is_in_span(address))
		return (int)tagmem_result(tagmem_call(SYS_mlock2, address, length, flags));
	return flags & ~1u ? (int)tagmem_result(-EINVAL) : is_mapped(address, length, false);
}

/* All memory would be all aliases, of which a view's refused pages are never there. */
TAGMEM_EXPORT int mlockall(int flags) {
	for (size_t i = 0; i < tagmem_span_count; i++) {
		if (tagmem_spans[i] != NULL)
			return flags == 0 || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ? (int)tagmem_result(-EINVAL) : 0;
	}
	return (int)tagmem_result(tagmem_call(SYS_mlockall, flags));
}

TAGMEM_EXPORT int munlock(const void *address, size_t length) {
	return tagmem_is_in_span(address) ? is_mapped(address, length, false)
				: (int)tagmem_result(tagmem_call(SYS_munlock, address, length));
}

TAGMEM_EXPORT int mincore(void *address, size_t length, unsigned char *vector) {
	if (!tagmem_is_in_span(address))
		return (int)tagmem_result(tagmem_call(SYS_mincore, address, length, vector));
	if (is_mapped(address, length, true) != 0)
		return -1;
	uint64_t start;
	tagmem_in_environment(address, &start);
	return (int)tagmem_result(tagmem_call(SYS_mincore, tagmem_environment->plain + start, length, vector));
}
