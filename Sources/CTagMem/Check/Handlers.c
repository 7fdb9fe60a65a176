/*
 * How deep in handlers a thread is. A handler that returns is seen to; one that is left by siglongjmp is not, until
 * something runs where it cannot be: further out on its stack, or off the alternate stack that it was on.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "../internal.h"

enum { on_alternate_stack = 1 }; /* bit 0 of tagmem_thread.handlers */

static void notice(uintptr_t stack_pointer, bool is_on_alternate_stack) {
	struct tagmem_thread *thread = &tagmem_thread;
	while (thread->depth > 0) {
		unsigned last = (thread->depth < tagmem_handlers_max ? thread->depth : tagmem_handlers_max) - 1;
		uintptr_t handler = thread->handlers[last];
		if (stack_pointer <= handler ? is_on_alternate_stack || !(handler & on_alternate_stack)
					     : is_on_alternate_stack && !(handler & on_alternate_stack))
			break;
		thread->depth = last;
	}
}

void tagmem_notice_left_handlers(const ucontext_t *context) {
	notice((uintptr_t)context->uc_mcontext.gregs[REG_RSP], context->uc_stack.ss_flags & SS_ONSTACK);
}

void tagmem_notice_left_handlers_here(void) {
	stack_t stack = {.ss_flags = 0};
	if (tagmem_thread.depth > 0) {
		syscall(SYS_sigaltstack, NULL, &stack);
		notice((uintptr_t)__builtin_frame_address(0), stack.ss_flags & SS_ONSTACK);
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
