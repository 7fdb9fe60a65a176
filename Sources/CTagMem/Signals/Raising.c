/* A signal for the program: to its handler, or its end. */
#include "Signals.h"

enum { SA_EXPOSE_TAGBITS_FLAG = 0x800 };

siginfo_t tagmem_info_of(int number, int code, uintptr_t address) {
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = number;
	info.si_code = code;
	info.si_addr = (void *)address;
	return info;
}

bool tagmem_is_blocked(int number, const ucontext_t *context) {
	bool waits = tagmem_wait.is_waiting && context->uc_mcontext.gregs[REG_RAX] == -EINTR;
	tagmem_mask mask = waits ? tagmem_wait.mask : tagmem_mask_of_set(&context->uc_sigmask);
	return (mask & tagmem_mask_of(tagmem_counterpart(number))) != 0;
}

/* Ends the process with that signal. It comes when the handler returns, so that a core dump shows the registers of the
 * program. */
void tagmem_die(int number, siginfo_t *info, ucontext_t *context) {
	tagmem_set_mask(~(tagmem_mask)0);
	uint64_t action[4] = {0};
	tagmem_call(SYS_rt_sigaction, number, action, NULL, sizeof(tagmem_mask));
	tagmem_queue_to_thread(number, info);
	tagmem_mask mask = tagmem_mask_of_set(&context->uc_sigmask) & ~tagmem_mask_of(number);
	tagmem_set_of_mask(&context->uc_sigmask, mask);
}

/* The address of a fault in a span has its tag only for who asked for it. */
static void hide_tag(const struct tagmem_action *action, siginfo_t *info) {
	uintptr_t address = (uintptr_t)info->si_addr;
	if (tagmem_pointer_of(address).span != NULL && (action->flags & SA_EXPOSE_TAGBITS_FLAG) == 0)
		info->si_addr = (void *)(address & ~(TAGMEM_TAG_MASK | (uintptr_t)0xff << 56));
}

/* A synchronous fault: one that is blocked or ignored ends the process. */
void tagmem_raise_fault(int number, siginfo_t *info, ucontext_t *context) {
	struct tagmem_action action = {TAGMEM_DEFAULT, 0, 0};
	if (!tagmem_is_blocked(number, context))
		action = tagmem_action_of(number, true);
	if (action.handler == TAGMEM_DEFAULT || action.handler == TAGMEM_IGNORED) {
		tagmem_die(number, info, context);
		return;
	}
	hide_tag(&action, info);
	tagmem_deliver(&action, number, info, context);
}

/* Marks a signal that kill has sent. */
static char by_kill;

/* One that is blocked waits as its stand-in. */
void tagmem_make_wait(int number, siginfo_t *info) {
	int stand_in = tagmem_counterpart(number);
	tagmem_mask pending = 0;
	tagmem_call(SYS_rt_sigpending, &pending, sizeof pending);
	if ((pending & tagmem_mask_of(stand_in)) != 0)
		return;
	/* What was for any thread of the process is so still. Only its first thread may send it what kill sends. */
	bool is_of_process = info->si_code == SI_USER || info->si_code == SI_QUEUE;
	if (info->si_code == SI_USER) {
		info->si_code = SI_QUEUE;
		info->si_value.sival_ptr = &by_kill;
	}
	if (is_of_process)
		tagmem_call(SYS_rt_sigqueueinfo, tagmem_call(SYS_getpid), stand_in, info);
	else
		tagmem_queue_to_thread(stand_in, info);
}

void tagmem_end_wait(siginfo_t *info) {
	if (!tagmem_is_fault(info->si_signo))
		info->si_signo = tagmem_counterpart(info->si_signo);
	if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &by_kill) {
		info->si_code = SI_USER;
		info->si_value.sival_ptr = NULL;
	}
}

/* One that somebody sent, or that was found later. */
void tagmem_raise_sent(int number, siginfo_t *info, ucontext_t *context) {
	struct tagmem_action action = tagmem_action_of(number, true);
	if (action.handler == TAGMEM_IGNORED)
		return;
	if (action.handler == TAGMEM_DEFAULT) {
		tagmem_die(number, info, context);
		return;
	}
	if (info->si_code > 0)
		hide_tag(&action, info);
	tagmem_deliver(&action, number, info, context);
}

/* What else an instruction may raise. The kernel calls the program's handler, or ends the process, when the library's
 * handler returns. */
void tagmem_raise_other(const struct tagmem_signal *signal, ucontext_t *context) {
	siginfo_t info = tagmem_info_of(signal->number, signal->code, signal->address);
	if (tagmem_is_fault(signal->number)) {
		tagmem_raise_fault(signal->number, &info, context);
		return;
	}
	struct tagmem_action action = {TAGMEM_IGNORED, 0, 0};
	tagmem_change_action(signal->number, NULL, &action);
	if (tagmem_is_blocked(signal->number, context) || action.handler == TAGMEM_IGNORED) {
		tagmem_die(signal->number, &info, context);
		return;
	}
	tagmem_set_mask(~(tagmem_mask)0);
	tagmem_queue_to_thread(signal->number, &info);
}

/* MARK: A fault of a function */

bool tagmem_raise(int number, int code, uintptr_t address) {
	siginfo_t info = tagmem_info_of(number, code, address);
	tagmem_mask mask = tagmem_set_mask(~(tagmem_mask)0);
	struct tagmem_action action = tagmem_action_of(number, false);
	bool is_refused = (mask & tagmem_mask_of(tagmem_counterpart(number))) != 0 ||
			  action.handler == TAGMEM_DEFAULT || action.handler == TAGMEM_IGNORED;
	if (is_refused) {
		uint64_t none[4] = {0};
		tagmem_call(SYS_rt_sigaction, number, none, NULL, sizeof mask);
		mask &= ~tagmem_mask_of(number);
	}
	tagmem_queue_to_thread(is_refused ? number : tagmem_counterpart(number), &info);
	/* It comes now. */
	return tagmem_unblock_raised(mask);
}
