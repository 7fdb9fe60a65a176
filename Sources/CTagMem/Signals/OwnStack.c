/*
 * A trap on a stack of the library's own: programs' stacks for signals are as small as programs need them. A signal that
 * comes meanwhile must not begin at the top of the alternate stack, where the program still is; so there is none until the
 * trap is done.
 */
#include "Signals.h"

#include <sys/mman.h>

enum { own_size = 48 << 10, guard_size = 4096 };

/* Of the thread; made when it is needed. */
static _Thread_local char *own __attribute__((tls_model("initial-exec")));
static _Thread_local bool is_used __attribute__((tls_model("initial-exec")));

void tagmem_switch(void *top, void (*function)(void *), void *argument);

struct trap {
	ucontext_t *context;
	struct tagmem_trap_result result;
};

static void trap(void *argument) {
	struct trap *trap = argument;
	trap->result = tagmem_trap(trap->context);
}

static void trap_without_alternate_stack(void *argument) {
	struct trap *trap = argument;
	stack_t none = {.ss_flags = SS_DISABLE}, old = trap->context->uc_stack;
	tagmem_call(SYS_sigaltstack, &none, NULL);
	trap->result = tagmem_trap(trap->context);
	/* SS_AUTODISARM, and not that it is in use. */
	old.ss_flags &= (int)(1u << 31);
	tagmem_call(SYS_sigaltstack, &old, NULL);
}

static char *make_own(void) {
	char *start = tagmem_kernel_map(guard_size + own_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (start == MAP_FAILED)
		return NULL;
	tagmem_call(SYS_mprotect, start + guard_size, own_size, PROT_READ | PROT_WRITE);
	return start;
}

struct tagmem_trap_result tagmem_trap_on_own_stack(ucontext_t *context) {
	struct trap call = {.context = context};
	if (own == NULL)
		own = make_own();
	/* Without memory the program's has to do; also for a trap within one, which is none that can be done. */
	if (own == NULL || is_used)
		return tagmem_trap(context);
	char *here = __builtin_frame_address(0);
	bool is_on_alternate = here - (char *)context->uc_stack.ss_sp < (ptrdiff_t)context->uc_stack.ss_size &&
			       here >= (char *)context->uc_stack.ss_sp;
	is_used = true;
	tagmem_switch(own + guard_size + own_size, is_on_alternate ? trap_without_alternate_stack : trap, &call);
	is_used = false;
	return call.result;
}

void tagmem_end_own_stack(void) {
	char *old = own;
	own = NULL;
	if (old != NULL)
		tagmem_call(SYS_munmap, old, guard_size + own_size);
}
