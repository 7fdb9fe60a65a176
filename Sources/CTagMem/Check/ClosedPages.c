/*
 * Pages that instrumented code has closed: for how long.
 *
 * A callback comes before its access, and nothing comes behind it. So the page opens when the thread makes another
 * access to it that is legal (closed pages bring it to the trap), not to the same bytes, and not in a handler, which may
 * return to the access. An access that has not faulted yet may still come, behind others of its statement; and a struct is
 * copied piece by piece: so then it must also be an instruction that is not one of those behind the callback. A thread
 * remembers few such accesses, and forgets the oldest for a new one.
 */
#include "internal.h"

#include "Space/Kernel.h"

/* What a handler does, in the middle of what is done here, to the same records is kept out. */
static uint64_t block_signals(void) {
	uint64_t all = ~0ull, old = 0;
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof old);
	return old;
}

static void unblock_signals(uint64_t old) { tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old); }

/* The instructions of a statement are few behind its callback: the more the more bytes it accesses. */
static bool is_of_statement(const struct tagmem_closed_access *closed, uintptr_t program_counter) {
	return program_counter - closed->after < 64 + 8 * closed->size;
}

/* Whether an access has been done or given up for certain when the thread accesses something else. */
static bool is_over(const struct tagmem_closed_access *closed, uintptr_t program_counter) {
	bool is_whole = closed->has_faulted && closed->size <= 16;
	return is_whole || !is_of_statement(closed, program_counter);
}

static void forget(struct tagmem_thread *thread, int index) {
	uintptr_t page = thread->closed[index].page;
	for (int i = index; i + 1 < tagmem_closed_max; i++)
		thread->closed[i] = thread->closed[i + 1];
	thread->closed[tagmem_closed_max - 1].page = 0;
	tagmem_open_page(page);
}

/* The thread is at another access: those before it are over, but for another side of the same copy. The same callback again
 * is another access. Returns how many are left. */
static int forget_earlier(struct tagmem_thread *thread, uintptr_t after) {
	int count = 0;
	tagmem_notice_left_handlers_here();
	while (count < tagmem_closed_max && thread->closed[count].page) {
		const struct tagmem_closed_access *closed = &thread->closed[count];
		bool is_same_statement = closed->after != after && is_of_statement(closed, after);
		if (thread->depth <= closed->depth && !is_same_statement)
			forget(thread, count);
		else
			count++;
	}
	return count;
}

void tagmem_close_for_access(uintptr_t address, size_t size, uintptr_t fault, uintptr_t after) {
	struct tagmem_thread *thread = &tagmem_thread;
	uintptr_t page = fault & -(uintptr_t)tagmem_page;
	uint64_t mask = block_signals();
	/* Closed before the old ones open: it may be one of them. */
	tagmem_close_page(page);
	int count = forget_earlier(thread, after);
	if (count == tagmem_closed_max) {
		forget(thread, 0);
		count--;
	}
	thread->closed[count] = (struct tagmem_closed_access){
	    .page = page, .address = address, .size = size, .after = after, .depth = thread->depth};
	unblock_signals(mask);
}

void tagmem_open_for_access(uintptr_t after) {
	if (!tagmem_thread.closed[0].page)
		return;
	uint64_t mask = block_signals();
	forget_earlier(&tagmem_thread, after);
	unblock_signals(mask);
}

void tagmem_access_done(uintptr_t address, uintptr_t program_counter, const ucontext_t *context) {
	struct tagmem_thread *thread = &tagmem_thread;
	if (!thread->closed[0].page)
		return;
	uint64_t mask = block_signals();
	tagmem_notice_left_handlers(context);
	for (int i = 0; i < tagmem_closed_max && thread->closed[i].page;) {
		const struct tagmem_closed_access *closed = &thread->closed[i];
		if ((address & -(uintptr_t)tagmem_page) == closed->page && address - closed->address >= closed->size &&
		    is_over(closed, program_counter) && thread->depth <= closed->depth)
			forget(thread, i);
		else
			i++;
	}
	unblock_signals(mask);
}

void tagmem_access_faulted(uintptr_t fault) {
	for (int i = 0; i < tagmem_closed_max && tagmem_thread.closed[i].page; i++) {
		struct tagmem_closed_access *closed = &tagmem_thread.closed[i];
		if (fault - closed->address < closed->size) closed->has_faulted = true;
	}
}

void tagmem_open_closed_pages(void) {
	uint64_t mask = block_signals();
	while (tagmem_thread.closed[0].page) forget(&tagmem_thread, 0);
	unblock_signals(mask);
}
