/* What the kernel refuses: a fault in a span is done or raised, all else is the program's as it came. */
#include "Signals.h"

#include <unistd.h>

#ifndef SEGV_MTESERR
#define SEGV_MTESERR 9
#endif

static siginfo_t info_of_judgement(const struct tagmem_judgement *judgement) {
	switch (judgement->verdict) {
	case TAGMEM_TAG_FAULT: return tagmem_info_of(SIGSEGV, SEGV_MTESERR, judgement->address);
	case TAGMEM_PROTECTED: return tagmem_info_of(SIGSEGV, SEGV_ACCERR, judgement->address);
	case TAGMEM_GONE: return tagmem_info_of(SIGBUS, BUS_ADRERR, judgement->address);
	default: return tagmem_info_of(SIGSEGV, SEGV_MAPERR, judgement->address);
	}
}

static void raise_judged(const struct tagmem_judgement *judgement, ucontext_t *context) {
	siginfo_t info = info_of_judgement(judgement);
	context->uc_mcontext.gregs[REG_CR2] = (greg_t)judgement->address;
	tagmem_raise_fault(info.si_signo, &info, context);
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
	tagmem_die(number, info, context);
}

/* Whether the kernel has refused an access that may be one of a span, or of its tags. A pointer that is not canonical has
 * no address. */
static bool may_be_ours(const siginfo_t *info) {
	if (info->si_code == SI_KERNEL)
		return true;
	bool is_of_page = info->si_signo == SIGBUS ? info->si_code == BUS_ADRERR
						   : info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR;
	uintptr_t address = (uintptr_t)info->si_addr;
	return is_of_page && (tagmem_pointer_of(address).span != NULL || tagmem_address_of_tags(address) != 0);
}

static void on_refused(siginfo_t *info, ucontext_t *context) {
	if (!may_be_ours(info)) {
		tagmem_raise_fault(info->si_signo, info, context);
		return;
	}
	int error = errno;
	uintptr_t address = (uintptr_t)info->si_addr;
	uintptr_t counter = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	struct tagmem_trap_result result = tagmem_trap_on_own_stack(context);
	if (result.trap == TAGMEM_TRAP_DONE)
		tagmem_access_done(address, counter, context);
	if (result.trap == TAGMEM_TRAP_FAULT)
		tagmem_access_faulted(result.judgement.address);
	if (info->si_code != SI_KERNEL && result.trap != TAGMEM_TRAP_NOT_OURS)
		tagmem_page_refused(address, info->si_signo == SIGBUS);
	if (result.has_deferred_fault)
		tagmem_note_deferred();
	errno = error;
	switch (result.trap) {
	case TAGMEM_TRAP_DONE: break;
	case TAGMEM_TRAP_FAULT: raise_judged(&result.judgement, context); break;
	case TAGMEM_TRAP_SIGNAL: tagmem_raise_other(&result.signal, context); break;
	case TAGMEM_TRAP_UNKNOWN: give_up(result.text, info->si_signo, info, context); break;
	case TAGMEM_TRAP_NOT_OURS:
		/* What stores tags itself: the fault is that of the memory. */
		if (tagmem_address_of_tags(address) != 0)
			info->si_addr = (void *)tagmem_address_of_tags(address);
		tagmem_raise_fault(info->si_signo, info, context);
		break;
	}
}

void tagmem_on_fault(int number, siginfo_t *info, void *context) {
	if (!tagmem_is_fault(number)) {
		/* A stand-in comes when it is not blocked. */
		if (!tagmem_is_due(info))
			return;
		tagmem_end_wait(info);
		tagmem_raise_sent(info->si_signo, info, context);
		return;
	}
	bool is_sent = info->si_code <= 0 || (number == SIGBUS && info->si_code == BUS_MCEERR_AO);
	if (!is_sent && (tagmem_fix_up(context) || tagmem_trap_recover(info, context)))
		return;
	if (!is_sent)
		on_refused(info, context);
	else if (tagmem_is_blocked(number, context))
		tagmem_make_wait(number, info);
	else
		tagmem_raise_sent(number, info, context);
}
