/* From the kernel to the program: what is a fault in a span is done or raised, all else is the program's as it came. */
#include "Signals.h"

#include <unistd.h>

/* Not in the headers of this machine. */
#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#endif
#ifndef SEGV_MTESERR
#define SEGV_MTESERR 9
#endif
enum { SA_EXPOSE_TAGBITS_FLAG = 0x800 };

/* MARK: The program's handlers */

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
	show_mask(context);
	action->handler(number, info, context);
	hide_mask(context);
	tagmem_wait = wait;
	tagmem_thread.tco = tco;
}

void tagmem_on_signal(int number, siginfo_t *info, void *context) {
	struct tagmem_action action = tagmem_action_of(number, false);
	/* The table is written before the kernel's: a handler that came just before another was installed. */
	if (action.handler != TAGMEM_DEFAULT && action.handler != TAGMEM_IGNORED)
		tagmem_call_handler(&action, number, info, context);
}

/* MARK: SIGSEGV and SIGBUS */

static bool is_blocked(int number, const ucontext_t *context) {
	bool waits = tagmem_wait.is_waiting && context->uc_mcontext.gregs[REG_RAX] == -EINTR;
	tagmem_mask mask = waits ? tagmem_wait.mask : tagmem_mask_of_set(&context->uc_sigmask);
	return (mask & tagmem_mask_of(tagmem_counterpart(number))) != 0;
}

/* Ends the process with that signal. It comes when the handler returns, so that a core dump shows the registers of the
 * program. */
static void die(int number, siginfo_t *info, ucontext_t *context) {
	tagmem_set_mask(~(tagmem_mask)0);
	uint64_t action[4] = {0};
	tagmem_call(SYS_rt_sigaction, number, action, NULL, sizeof(tagmem_mask));
	tagmem_queue_to_thread(number, info);
	tagmem_mask mask = tagmem_mask_of_set(&context->uc_sigmask) & ~tagmem_mask_of(number);
	tagmem_set_of_mask(&context->uc_sigmask, mask);
}

/* Calls the program's handler. Signals that were blocked for the library's handler are as they are for the program's. */
static void deliver(const struct tagmem_action *action, int number, siginfo_t *info, ucontext_t *context) {
	tagmem_mask mask = tagmem_mask_of_set(&context->uc_sigmask) | tagmem_mask_to_kernel(action->mask);
	if ((action->flags & SA_NODEFER) == 0)
		mask |= tagmem_mask_of(tagmem_counterpart(number));
	tagmem_set_mask(mask);
	tagmem_call_handler(action, number, info, context);
}

/* A synchronous fault: one that is blocked or ignored ends the process. */
static void raise_fault(int number, siginfo_t *info, ucontext_t *context) {
	struct tagmem_action action = {TAGMEM_DEFAULT, 0, 0};
	if (!is_blocked(number, context))
		action = tagmem_action_of(number, true);
	if (action.handler == TAGMEM_DEFAULT || action.handler == TAGMEM_IGNORED) {
		die(number, info, context);
		return;
	}
	uintptr_t address = (uintptr_t)info->si_addr;
	if (tagmem_pointer_of(address).span != NULL && (action.flags & SA_EXPOSE_TAGBITS_FLAG) == 0)
		info->si_addr = (void *)(address & ~(TAGMEM_TAG_MASK | (uintptr_t)0xff << 56));
	deliver(&action, number, info, context);
}

/* One that is blocked waits as its stand-in. */
static void make_wait(int number, siginfo_t *info) {
	int stand_in = tagmem_counterpart(number);
	tagmem_mask pending = 0;
	tagmem_call(SYS_rt_sigpending, &pending, sizeof pending);
	if ((pending & tagmem_mask_of(stand_in)) != 0)
		return;
	/* What was for any thread of the process is so still. */
	if (info->si_code == SI_USER || info->si_code == SI_QUEUE)
		tagmem_call(SYS_rt_sigqueueinfo, tagmem_call(SYS_getpid), stand_in, info);
	else
		tagmem_queue_to_thread(stand_in, info);
}

/* One that somebody sent, or that was found later. */
static void raise_sent(int number, siginfo_t *info, ucontext_t *context) {
	struct tagmem_action action = tagmem_action_of(number, true);
	if (action.handler == TAGMEM_IGNORED)
		return;
	if (action.handler == TAGMEM_DEFAULT)
		die(number, info, context);
	else
		deliver(&action, number, info, context);
}

static siginfo_t info_of(const struct tagmem_judgement *judgement) {
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = SIGSEGV;
	info.si_addr = (void *)judgement->address;
	switch (judgement->verdict) {
	case TAGMEM_TAG_FAULT: info.si_code = SEGV_MTESERR; break;
	case TAGMEM_PROTECTED: info.si_code = SEGV_ACCERR; break;
	case TAGMEM_GONE:
		info.si_signo = SIGBUS;
		info.si_code = BUS_ADRERR;
		break;
	default: info.si_code = SEGV_MAPERR; break;
	}
	return info;
}

static void raise_judged(const struct tagmem_judgement *judgement, ucontext_t *context) {
	siginfo_t info = info_of(judgement);
	context->uc_mcontext.gregs[REG_CR2] = (greg_t)judgement->address;
	raise_fault(info.si_signo, &info, context);
}

/* An instruction that cannot be done: the program cannot go on, and does not know why. */
static void give_up(const char *text, int number, siginfo_t *info, ucontext_t *context) {
	static const char before[] = "libtagmem: cannot do the instruction ", after[] = "\n";
	char line[sizeof before + sizeof after + 96];
	size_t length = strnlen(text, 96);
	memcpy(line, before, sizeof before - 1);
	memcpy(line + sizeof before - 1, text, length);
	line[sizeof before - 1 + length] = '\n';
	tagmem_call(SYS_write, STDERR_FILENO, line, sizeof before + length);
	die(number, info, context);
}

/* Whether the kernel has refused an access that may be one of a span. A pointer that is not canonical has no address. */
static bool may_be_ours(int number, const siginfo_t *info) {
	if (number == SIGSEGV && info->si_code == SI_KERNEL)
		return true;
	bool is_of_page = number == SIGBUS ? info->si_code == BUS_ADRERR
					   : info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR;
	return is_of_page && tagmem_pointer_of((uintptr_t)info->si_addr).span != NULL;
}

static void on_refused(int number, siginfo_t *info, ucontext_t *context) {
	if (!may_be_ours(number, info)) {
		raise_fault(number, info, context);
		return;
	}
	int error = errno;
	struct tagmem_trap_result result = tagmem_trap(context);
	if (result.has_deferred_fault)
		tagmem_note_deferred();
	errno = error;
	switch (result.trap) {
	case TAGMEM_TRAP_DONE: break;
	case TAGMEM_TRAP_FAULT: raise_judged(&result.judgement, context); break;
	case TAGMEM_TRAP_UNKNOWN: give_up(result.text, number, info, context); break;
	case TAGMEM_TRAP_NOT_OURS: raise_fault(number, info, context); break;
	}
}

void tagmem_on_fault(int number, siginfo_t *info, void *context) {
	if (tagmem_is_fault(number)) {
		bool is_sent = info->si_code <= 0 || (number == SIGBUS && info->si_code == BUS_MCEERR_AO);
		if (!is_sent)
			on_refused(number, info, context);
		else if (is_blocked(number, context))
			make_wait(number, info);
		else
			raise_sent(number, info, context);
		return;
	}
	/* A stand-in comes when it is not blocked. */
	number = tagmem_counterpart(number);
	if (tagmem_is_timer(info) && !tagmem_take_deferred(info))
		return;
	info->si_signo = number;
	raise_sent(number, info, context);
}
