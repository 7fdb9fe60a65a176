/*
 * Pages that instrumented code has closed: for how long.
 *
 * A callback comes before its access, and nothing comes behind it. So the page opens when the thread makes another
 * access to it that is legal (closed pages bring it to the trap), and that is not a part of the one that must fault:
 * not in its bytes, and not among the instructions behind the callback, as compilers copy a struct by several. Also it
 * must not be one of a handler, which may return to the access. A thread remembers few such accesses, and forgets the
 * oldest for a new one.
 */
#include "internal.h"

#include "Space/Kernel.h"

/* The instructions of a statement are in so many bytes behind its callback. */
enum { statement = 512 };

/* What a handler does, in the middle of what is done here, to the same records is kept out. */
static uint64_t block_signals(void) {
	uint64_t all = ~0ull, old = 0;
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof old);
	return old;
}

static void unblock_signals(uint64_t old) { tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old); }

static bool is_of_statement(const struct tagmem_closed_access *closed, uintptr_t program_counter) {
	return program_counter - closed->after < statement;
}

static void forget(struct tagmem_thread *thread, int index) {
	uintptr_t page = thread->closed[index].page;
	for (int i = index; i + 1 < tagmem_closed_max; i++)
		thread->closed[i] = thread->closed[i + 1];
	thread->closed[tagmem_closed_max - 1].page = 0;
	tagmem_open_page(page);
}

void tagmem_close_for_access(uintptr_t address, size_t size, uintptr_t fault, uintptr_t after) {
	struct tagmem_thread *thread = &tagmem_thread;
	uintptr_t page = fault & -(uintptr_t)tagmem_page;
	uint64_t mask = block_signals();
	/* Closed before the old ones open: it may be one of them. */
	tagmem_close_page(page);
	int count = 0;
	while (count < tagmem_closed_max && thread->closed[count].page) {
		const struct tagmem_closed_access *closed = &thread->closed[count];
		/* Two callbacks in a row may be those of a copy's two sides; the same one again is another access. */
		bool is_same_statement = closed->after != after && is_of_statement(closed, after);
		if (thread->depth <= closed->depth && !is_same_statement)
			forget(thread, count);
		else
			count++;
	}
	if (count == tagmem_closed_max) {
		forget(thread, 0);
		count--;
	}
	thread->closed[count] = (struct tagmem_closed_access){
	    .page = page, .address = address, .size = size, .after = after, .depth = thread->depth};
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
		    !is_of_statement(closed, program_counter) && thread->depth <= closed->depth)
			forget(thread, i);
		else
			i++;
	}
	unblock_signals(mask);
}
