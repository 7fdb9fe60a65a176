/* The program's handlers: they run as those of a program on a machine with MTE. */
#include "Signals.h"

/* The mask in a context is the kernel's; a handler sees, and may change, the program's. */
static void show_mask(ucontext_t *context) {
	tagmem_set_of_mask(&context->uc_sigmask, tagmem_mask_from_kernel(tagmem_mask_of_set(&context->uc_sigmask)));
}

static void hide_mask(ucontext_t *context) {
	tagmem_set_of_mask(&context->uc_sigmask, tagmem_mask_to_kernel(tagmem_mask_of_set(&context->uc_sigmask)));
}

void tagmem_call_handler(const struct tagmem_action *action, int number, siginfo_t *info, ucontext_t *context) {
	bool tco = tagmem_thread.tco;
	struct tagmem_wait wait = tagmem_wait;
	tagmem_thread.tco = false;
	tagmem_wait.is_waiting = false;
	unsigned depth = tagmem_enter_handler(context);
	show_mask(context);
	action->handler(number, info, context);
	hide_mask(context);
	tagmem_leave_handler(depth);
	tagmem_wait = wait;
	tagmem_thread.tco = tco;
}

void tagmem_on_signal(int number, siginfo_t *info, void *context) {
	if (number == SIGFPE && info->si_code > 0 && tagmem_trap_recover(info, context))
		return;
	struct tagmem_action action = tagmem_action_of(number, false);
	/* The table is written before the kernel's: a handler that came just before another was installed. */
	if (action.handler != TAGMEM_DEFAULT && action.handler != TAGMEM_IGNORED)
		tagmem_call_handler(&action, number, info, context);
}

/* Calls the program's handler. Signals that were blocked for the library's handler are as they are for the program's. */
void tagmem_deliver(const struct tagmem_action *action, int number, siginfo_t *info, ucontext_t *context) {
	tagmem_mask mask = tagmem_mask_of_set(&context->uc_sigmask) | tagmem_mask_to_kernel(action->mask);
	if ((action->flags & SA_NODEFER) == 0)
		mask |= tagmem_mask_of(tagmem_counterpart(number));
	tagmem_set_mask(mask);
	tagmem_call_handler(action, number, info, context);
}
