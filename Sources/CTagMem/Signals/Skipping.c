/* A handler that gives up the instruction which faulted; or the function that stands for one, which raises its signal itself. */
#include "Signals.h"

#include <tagmem/environment.h>

/* rt_sigprocmask. What is pending comes as it returns: a handler's context is at tagmem_pending_taken. */
__asm__(".text\n"
	".globl tagmem_take_pending, tagmem_pending_taken\n"
	".hidden tagmem_take_pending, tagmem_pending_taken\n"
	".type tagmem_take_pending, @function\n"
	"tagmem_take_pending:\n"
	".cfi_startproc\n"
	"movl $14, %eax\n"
	"movq %rdi, %rsi\n"
	"movl $2, %edi\n"
	"xorl %edx, %edx\n"
	"movl $8, %r10d\n"
	"syscall\n"
	"tagmem_pending_taken:\n"
	"ret\n"
	".cfi_endproc\n"
	".size tagmem_take_pending, . - tagmem_take_pending\n");
void tagmem_take_pending(const tagmem_mask *mask);
extern const char tagmem_pending_taken[];

static _Thread_local bool is_skipped __attribute__((tls_model("initial-exec")));

bool tagmem_unblock_raised(tagmem_mask mask) {
	bool outer = is_skipped;
	is_skipped = false;
	tagmem_take_pending(&mask);
	bool result = is_skipped;
	is_skipped = outer;
	return result;
}

bool tagmem_skip_instruction(void *context) {
	greg_t *counter = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	if (*counter == (greg_t)(uintptr_t)tagmem_pending_taken) {
		is_skipped = true;
		return true;
	}
	size_t length = tagmem_instruction_length((uintptr_t)*counter);
	*counter += (greg_t)length;
	return length > 0;
}
