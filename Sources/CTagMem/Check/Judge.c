/* Whether an access may be done: the one place that decides. */
#include "OverRead.h"
#include "Report.h"
#include "Scan.h"
#include "Space/Kernel.h"

#include <linux/prctl.h>
#include <sys/mman.h>

#ifndef PR_MTE_STORE_ONLY
#define PR_MTE_STORE_ONLY (1ul << 19)
#endif

enum check { check_none, check_sync, check_async, check_asymm };
static const uint8_t mode_of[] = { TAGMEM_MODE_NONE, TAGMEM_MODE_SYNC, TAGMEM_MODE_ASYNC, TAGMEM_MODE_ASYMM };

/* As the processor is set, for both directions. */
static enum check check_of(const struct tagmem_span *span, bool is_store) {
	const struct tagmem_thread *thread = &tagmem_thread;
	if (thread->tco) return check_none;
	if (!thread->has_control) return span->is_environment ? check_none : check_sync;
	if (!is_store && thread->control & PR_MTE_STORE_ONLY) return check_none;
	unsigned long asked = thread->control & PR_MTE_TCF_MASK;
	if (asked == PR_MTE_TCF_MASK) asked = tagmem_preferred & PR_MTE_TCF_MASK;
	switch (asked) {
	case PR_MTE_TCF_SYNC: return check_sync;
	case PR_MTE_TCF_ASYNC: return check_async;
	case PR_MTE_TCF_MASK: return check_asymm;
	default: return check_none;
	}
}

/* What is not mapped, or not for that, of [start, end). */
static bool is_refused(const struct tagmem_span *span, uint64_t start, uint64_t end, bool is_store,
                       enum tagmem_verdict *verdict, uint64_t *where) {
	unsigned needed = is_store ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC;
	for (uint64_t at = start; at < end; at = (at | (tagmem_page - 1)) + 1) {
		unsigned bits = tagmem_page_of(span, at);
		if (bits & needed) continue;
		*where = at;
		if (bits) {
			*verdict = TAGMEM_PROTECTED;
		} else {
			*verdict = span->is_environment || at >= TAGMEM_OBJECT_MAX ? TAGMEM_UNMAPPED : TAGMEM_GONE;
		}
		return true;
	}
	return false;
}

/* A mismatch, as the thread checks it: true if `judgement` is about one now. */
static bool is_mismatch(struct tagmem_pointer pointer, uint64_t end, size_t size, bool is_store, enum check check,
                        struct tagmem_judgement *judgement) {
	const struct tagmem_span *span = pointer.span;
	struct tagmem_found found = tagmem_scan(span, pointer.tag, pointer.offset, end);
	if (found.what == tagmem_all_match) return false;
	if (!span->is_environment) {
		/* Tags that are gone, or are 0 because the object was cut off: then the memory is gone. */
		span->pages[found.offset >> tagmem_page_shift] = 0;
		if (!tagmem_page_of(span, found.offset)) found.what = tagmem_is_gone;
	}
	if (found.what == tagmem_differs && tagmem_is_over_read(pointer, found.offset, size, is_store)) return false;
	judgement->address += found.offset - pointer.offset;
	judgement->allocation_tag = found.tag;
	bool is_deferred = check == check_async || (check == check_asymm && is_store);
	judgement->verdict = found.what == tagmem_is_gone ? TAGMEM_GONE :
	                     is_deferred                  ? TAGMEM_ALLOWED_DEFERRED :
	                                                    TAGMEM_TAG_FAULT;
	return true;
}

/* An access from a pointer on, which is into a span. */
static struct tagmem_judgement judge(struct tagmem_pointer pointer, uintptr_t address, size_t size, bool is_store,
                                     bool reports) {
	enum { one_access = 64 };
	const struct tagmem_span *span = pointer.span;
	struct tagmem_judgement judgement = { TAGMEM_ALLOWED, address, 0 }, refusal = judgement;
	uint64_t start = pointer.offset, end = size < UINT64_MAX - start ? start + size : UINT64_MAX, where = end;
	if (is_refused(span, start, end, is_store, &refusal.verdict, &where)) {
		refusal.address = address + (where - start);
		/* Of many accesses in a row the first that is refused comes first. */
		if (size <= one_access || where == start) return refusal;
		end = where;
	}
	enum check check = check_of(span, is_store);
	if (check == check_none || !is_mismatch(pointer, end, size, is_store, check, &judgement)) return refusal;
	if (judgement.verdict == TAGMEM_ALLOWED_DEFERRED && refusal.verdict != TAGMEM_ALLOWED) return refusal;
	if (reports && judgement.verdict != TAGMEM_GONE)
		tagmem_report_fault(span, &judgement, size, is_store, mode_of[check]);
	return judgement;
}

struct tagmem_judgement tagmem_judge(uintptr_t address, size_t size, bool is_store, bool reports) {
	struct tagmem_judgement outside = { TAGMEM_OUTSIDE, address, 0 }, allowed = { TAGMEM_ALLOWED, address, 0 };
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	if (size == 0) return pointer.span ? allowed : outside;
	if (pointer.span) return judge(pointer, address, size, is_store, reports);
	/* It may begin before a span and reach into it. */
	uintptr_t last = address + size - 1;
	if (last < address) return outside;
	struct tagmem_pointer end = tagmem_pointer_of(last);
	if (!end.span || end.span->base - address >= size) return outside;
	uintptr_t base = end.span->base;
	return judge(tagmem_pointer_of(base), base, size - (base - address), is_store, reports);
}
