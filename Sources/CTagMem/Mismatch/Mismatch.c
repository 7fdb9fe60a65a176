/*
 * What happens to an access that instrumented code is about to make, whose tags differ: what the thread checks, and what
 * is mapped there, says it. One that must fault is not stopped here: its page is closed, and the trap decides.
 */
#include <errno.h>

#include "../internal.h"

bool tagmem_mismatch(uintptr_t address, size_t size, bool is_store, uintptr_t after) {
	int error = errno;
	tagmem_thread.access_at = after;
	struct tagmem_judgement judgement = tagmem_judge(address, size, is_store, false);
	switch (judgement.verdict) {
	case TAGMEM_TAG_FAULT:
		tagmem_close_for_access(address, size, judgement.address, after);
		break;
	case TAGMEM_ALLOWED_DEFERRED:
		/* Of views the device refuses it, and the trap sees it. Of aliases nobody else does. */
		if (!(tagmem_pointer_of(judgement.address).span->flags & TAGMEM_VIEWS)) {
			tagmem_open_for_access(after);
			tagmem_judge(address, size, is_store, true);
			tagmem_note_deferred();
		}
		break;
	case TAGMEM_OUTSIDE:
	case TAGMEM_ALLOWED:
	case TAGMEM_UNMAPPED:
	case TAGMEM_PROTECTED:
	case TAGMEM_GONE:
		break; /* The access itself is done or refused. */
	}
	errno = error;
	return judgement.verdict == TAGMEM_TAG_FAULT;
}
