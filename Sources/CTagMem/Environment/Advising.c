/* madvise, and what else is said or asked of ranges. */
#include "Mapping.h"

/* Those that the headers may not have. */
enum { advice_dontneed_locked = 24, advice_collapse = 25, advice_cold = 20, advice_pageout = 21, advice_populate_read = 22,
       advice_populate_write = 23 };

struct range {
	uint64_t start, end;
};

/* The pages of what the program gives: 0 or an errno. A tag of the address is of no account. */
static int range_of(const void *address, size_t length, bool must_be_aligned, struct range *range) {
	uint64_t start;
	tagmem_in_environment(address, &start);
	if (must_be_aligned && start % tagmem_page != 0)
		return EINVAL;
	if (length > TAGMEM_OBJECT_MAX - start)
		return must_be_aligned ? EINVAL : ENOMEM;
	range->start = start / tagmem_page * tagmem_page;
	range->end = tagmem_round_up(start + length, tagmem_page);
	return 0;
}

static bool is_ours(const void *address) {
	uint64_t start;
	return tagmem_environment != NULL && tagmem_in_environment(address, &start);
}

/* MARK: madvise */

static int free_pages(struct range range) {
	/* Only what is private and anonymous. */
	for (uint64_t at = range.start; at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_end_of_notes(at, tagmem_run_of(at, range.end, &bits));
		if (bits & tagmem_mapped_shared || tagmem_notes_of(at) & tagmem_foreign)
			return EINVAL;
		at = next;
	}
	tagmem_clear_range(range.start, range.end);
	return 0;
}

static int wipe_on_fork(struct range range) {
	for (uint64_t at = range.start; at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_end_of_notes(at, tagmem_run_of(at, range.end, &bits));
		if (bits & tagmem_mapped_shared || tagmem_notes_of(at) & tagmem_foreign)
			return EINVAL;
		at = next;
	}
	tagmem_note(range.start, range.end, tagmem_wiped_on_fork, 0);
	return 0;
}

/* MADV_REMOVE: shared memory is zero for all. */
static int remove_pages(struct range range) {
	for (uint64_t at = range.start; at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_end_of_notes(at, tagmem_run_of(at, range.end, &bits));
		if (!(bits & tagmem_mapped_shared) || tagmem_notes_of(at) & tagmem_foreign)
			return EINVAL;
		while (at < next) {
			struct tagmem_backing place = tagmem_backing_of(at, next);
			tagmem_give_pages(place.object, place.offset, place.offset + place.length);
			at += place.length;
		}
	}
	return 0;
}

/* MADV_POPULATE_…: there must be memory for all, which may be read or written. */
static int populate(struct range range, unsigned needed) {
	for (uint64_t at = range.start; at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_run_of(at, range.end, &bits);
		if ((bits & needed) != needed)
			return EFAULT;
		while (at < next) {
			struct tagmem_backing place = tagmem_backing_of(at, next);
			int error = place.object == NULL ? EFAULT : 0;
			if (!error)
				error = tagmem_get_pages(place.object, place.offset, place.offset + place.length);
			if (error)
				return error;
			at += place.length;
		}
	}
	return 0;
}

static int advise(struct range range, int advice) {
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case advice_cold:
	case advice_pageout:
	case advice_collapse: return 0;
	case MADV_DONTNEED:
	case advice_dontneed_locked: tagmem_clear_range(range.start, range.end); return 0;
	case MADV_FREE: return free_pages(range);
	case MADV_REMOVE: return remove_pages(range);
	case MADV_WIPEONFORK: return wipe_on_fork(range);
	case MADV_KEEPONFORK: tagmem_note(range.start, range.end, 0, tagmem_wiped_on_fork); return 0;
	case MADV_DONTFORK: tagmem_note(range.start, range.end, tagmem_not_forked, 0); return 0;
	case MADV_DOFORK: tagmem_note(range.start, range.end, 0, tagmem_not_forked); return 0;
	case advice_populate_read: return populate(range, PROT_READ);
	case advice_populate_write: return populate(range, PROT_READ | PROT_WRITE);
	default: return EINVAL;
	}
}

/* Linux goes on behind pages that are not mapped, and says ENOMEM in the end. */
static int advise_all(const void *address, size_t length, int advice) {
	struct range range;
	int error = range_of(address, length, true, &range);
	if (!error)
		error = advise((struct range){range.start, range.start}, advice);
	bool has_holes = false;
	for (uint64_t at = range.start; !error && at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_run_of(at, range.end, &bits);
		if (bits == 0)
			has_holes = true;
		else
			error = advise((struct range){at, next}, advice);
		at = next;
	}
	return error ? error : has_holes ? ENOMEM : 0;
}

TAGMEM_EXPORT int madvise(void *address, size_t length, int advice) {
	tagmem_deliver_deferred();
	if (!is_ours(address))
		return (int)tagmem_result(tagmem_call(SYS_madvise, address, length, advice));
	tagmem_lock_environment();
	int error = advise_all(address, length, advice);
	tagmem_unlock_environment();
	return (int)tagmem_result(-error);
}

TAGMEM_EXPORT int posix_madvise(void *address, size_t length, int advice) {
	/* As libc: DONTNEED must not lose anything. */
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	int error = errno, result = madvise(address, length, advice) == 0 ? 0 : errno;
	errno = error;
	return result;
}

/* MARK: Memory that is there already: there is nothing to do but to say whether it is mapped */

static int is_mapped(const void *address, size_t length, bool must_be_aligned) {
	struct range range;
	int error = range_of(address, length, must_be_aligned, &range);
	if (error == EINVAL && (uintptr_t)address % tagmem_page == 0)
		error = ENOMEM;
	if (!error && range.start < range.end && !tagmem_is_mapped(range.start, range.end))
		error = ENOMEM;
	return (int)tagmem_result(-error);
}

TAGMEM_EXPORT int msync(void *address, size_t length, int flags) {
	tagmem_deliver_deferred();
	if (!is_ours(address))
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
	return is_ours(address) ? is_mapped(address, length, false)
				: (int)tagmem_result(tagmem_call(SYS_mlock, address, length));
}

TAGMEM_EXPORT int mlock2(const void *address, size_t length, unsigned flags) {
	if (!is_ours(address))
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
	return is_ours(address) ? is_mapped(address, length, false)
				: (int)tagmem_result(tagmem_call(SYS_munlock, address, length));
}

TAGMEM_EXPORT int mincore(void *address, size_t length, unsigned char *vector) {
	if (!is_ours(address))
		return (int)tagmem_result(tagmem_call(SYS_mincore, address, length, vector));
	if (is_mapped(address, length, true) != 0)
		return -1;
	uint64_t start;
	tagmem_in_environment(address, &start);
	return (int)tagmem_result(tagmem_call(SYS_mincore, tagmem_environment->plain + start, length, vector));
}
