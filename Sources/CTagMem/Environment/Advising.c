/* madvise. */
#include "PageRange.h"

/* Those that the headers may not have. */
enum { advice_dontneed_locked = 24, advice_collapse = 25, advice_cold = 20, advice_pageout = 21, advice_populate_read = 22,
       advice_populate_write = 23 };

/* Whether all of a range is private, and anonymous. */
static bool is_private(struct tagmem_page_range range) {
	for (uint64_t at = range.start; at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_end_of_notes(at, tagmem_run_of(at, range.end, &bits));
		if (bits & tagmem_mapped_shared || tagmem_notes_of(at) & tagmem_foreign)
			return false;
		at = next;
	}
	return true;
}

static int free_pages(struct tagmem_page_range range) {
	if (!is_private(range))
		return EINVAL;
	tagmem_clear_range(range.start, range.end);
	return 0;
}

static int wipe_on_fork(struct tagmem_page_range range) {
	if (!is_private(range))
		return EINVAL;
	tagmem_note(range.start, range.end, tagmem_wiped_on_fork, 0);
	return 0;
}

/* MADV_REMOVE: shared memory is zero for all. */
static int remove_pages(struct tagmem_page_range range) {
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
static int populate(struct tagmem_page_range range, unsigned needed) {
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

static int advise(struct tagmem_page_range range, int advice) {
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
	struct tagmem_page_range range;
	int error = tagmem_page_range(address, length, true, &range);
	if (!error)
		error = advise((struct tagmem_page_range){range.start, range.start}, advice);
	bool has_holes = false;
	for (uint64_t at = range.start; !error && at < range.end;) {
		unsigned bits;
		uint64_t next = tagmem_run_of(at, range.end, &bits);
		if (bits == 0)
			has_holes = true;
		else
			error = advise((struct tagmem_page_range){at, next}, advice);
		at = next;
	}
	return error ? error : has_holes ? ENOMEM : 0;
}

TAGMEM_EXPORT int madvise(void *address, size_t length, int advice) {
	tagmem_deliver_deferred();
	if (!tagmem_is_in_span(address))
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
