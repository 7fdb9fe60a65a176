/* sigaction and its kin. */
#include "Signals.h"

TAGMEM_EXPORT int sigaction(int number, const struct sigaction *restrict new, struct sigaction *restrict old) {
	/* The program's structs are read and written here, as they may be in a span. */
	struct tagmem_action next, before;
	if (new != NULL)
		next = (struct tagmem_action){new->sa_sigaction, new->sa_flags, tagmem_mask_of_set(&new->sa_mask)};
	if (tagmem_change_action(number, new != NULL ? &next : NULL, &before) != 0)
		return -1;
	if (old != NULL) {
		memset(old, 0, sizeof *old);
		old->sa_sigaction = before.handler;
		old->sa_flags = before.flags;
		tagmem_set_of_mask(&old->sa_mask, before.mask);
	}
	return 0;
}

/* siginterrupt has said that these interrupt system calls. */
static _Atomic tagmem_mask interrupting;

static sighandler_t change(int number, sighandler_t handler, int flags, tagmem_mask mask) {
	struct tagmem_action action = {(tagmem_handler *)(void *)handler, flags, mask}, before;
	if (handler == SIG_ERR || number < 1 || number > tagmem_signal_max) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (tagmem_change_action(number, &action, &before) != 0)
		return SIG_ERR;
	return (sighandler_t)(void *)before.handler;
}

TAGMEM_EXPORT sighandler_t signal(int number, sighandler_t handler) {
	bool interrupts = number >= 1 && number <= tagmem_signal_max && (interrupting & tagmem_mask_of(number)) != 0;
	return change(number, handler, interrupts ? 0 : SA_RESTART,
		      number >= 1 && number <= tagmem_signal_max ? tagmem_mask_of(number) : 0);
}

TAGMEM_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler) { return signal(number, handler); }
TAGMEM_EXPORT sighandler_t ssignal(int number, sighandler_t handler) { return signal(number, handler); }

TAGMEM_EXPORT sighandler_t sysv_signal(int number, sighandler_t handler) {
	return change(number, handler, (int)SA_RESETHAND | SA_NODEFER, 0);
}

TAGMEM_EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler) { return sysv_signal(number, handler); }

TAGMEM_EXPORT int siginterrupt(int number, int interrupts) {
	struct tagmem_action action;
	if (tagmem_change_action(number, NULL, &action) != 0)
		return -1;
	if (interrupts) {
		interrupting |= tagmem_mask_of(number);
		action.flags &= ~SA_RESTART;
	} else {
		interrupting &= ~tagmem_mask_of(number);
		action.flags |= SA_RESTART;
	}
	return tagmem_change_action(number, &action, NULL);
}

TAGMEM_EXPORT int sigignore(int number) { return change(number, SIG_IGN, 0, 0) == SIG_ERR ? -1 : 0; }

#ifndef SIG_HOLD
#define SIG_HOLD ((sighandler_t)2)
#endif

TAGMEM_EXPORT sighandler_t sigset(int number, sighandler_t handler) {
	sigset_t set, old;
	sigemptyset(&set);
	if (sigaddset(&set, number) != 0)
		return SIG_ERR;
	sighandler_t before;
	if (handler == SIG_HOLD) {
		struct tagmem_action action;
		if (tagmem_change_action(number, NULL, &action) != 0)
			return SIG_ERR;
		before = (sighandler_t)(void *)action.handler;
	} else {
		before = change(number, handler, 0, 0);
		if (before == SIG_ERR)
			return SIG_ERR;
	}
	long error = tagmem_change_mask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &old);
	if (tagmem_result(error) < 0)
		return SIG_ERR;
	return sigismember(&old, number) ? SIG_HOLD : before;
}
