/*
 * How deep in handlers a thread is. A handler that returns is seen to; one that is left by siglongjmp is not, until
 * something runs where it cannot be: further out on its stack, or off the alternate stack that it was on.
 */
#include "../internal.h"

enum { on_alternate_stack = 1 }; /* bit 0 of tagmem_thread.handlers */

void tagmem_notice_left_handlers(const ucontext_t *context) {
	struct tagmem_thread *thread = &tagmem_thread;
	uintptr_t stack_pointer = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
	bool is_on_alternate_stack = context->uc_stack.ss_flags & SS_ONSTACK;
	while (thread->depth > 0) {
		unsigned last = (thread->depth < tagmem_handlers_max ? thread->depth : tagmem_handlers_max) - 1;
		uintptr_t handler = thread->handlers[last];
		if (stack_pointer <= handler ? is_on_alternate_stack || !(handler & on_alternate_stack)
					     : is_on_alternate_stack && !(handler & on_alternate_stack))
			break;
		thread->depth = last;
	}
}

unsigned tagmem_enter_handler(const ucontext_t *interrupted) {
	struct tagmem_thread *thread = &tagmem_thread;
	tagmem_notice_left_handlers(interrupted);
	unsigned depth = thread->depth;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	bool is_on_alternate_stack = here - (uintptr_t)interrupted->uc_stack.ss_sp < interrupted->uc_stack.ss_size;
	if (depth < tagmem_handlers_max)
		thread->handlers[depth] = (here & -(uintptr_t)2) | (is_on_alternate_stack ? on_alternate_stack : 0);
	thread->depth = depth + 1;
	return depth;
}

void tagmem_leave_handler(unsigned depth) { tagmem_thread.depth = depth; }
