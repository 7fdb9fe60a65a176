/* Masks of threads, as the program sees them. */
#include "Signals.h"

long tagmem_change_mask(int how, const sigset_t *set, sigset_t *old) {
	tagmem_mask new = 0, before = 0;
	if (set != NULL) {
		new = tagmem_mask_of_set(set);
		/* libc takes its own out of what is to be blocked. */
		if (how != SIG_UNBLOCK)
			new &= ~TAGMEM_LIBC_SIGNALS;
		new = tagmem_mask_to_kernel(new);
	}
	long error = tagmem_call(SYS_rt_sigprocmask, how, set != NULL ? &new : NULL, &before, sizeof new);
	if (error == 0 && old != NULL)
		tagmem_set_of_mask(old, tagmem_mask_from_kernel(before));
	return error;
}

TAGMEM_EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old) {
	tagmem_install_signals();
	return (int)tagmem_result(tagmem_change_mask(how, set, old));
}

TAGMEM_EXPORT int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old) {
	tagmem_install_signals();
	return (int)-tagmem_change_mask(how, set, old);
}

TAGMEM_EXPORT int sigpending(sigset_t *set) {
	tagmem_mask pending = 0;
	long error = tagmem_call(SYS_rt_sigpending, &pending, sizeof pending);
	if (error == 0)
		tagmem_set_of_mask(set, tagmem_mask_from_kernel(pending));
	return (int)tagmem_result(error);
}


/* MARK: BSD's and System V's */

static int change_first(int how, unsigned mask) {
	sigset_t set, old;
	sigemptyset(&set);
	sigemptyset(&old);
	tagmem_set_of_mask(&set, mask);
	return tagmem_result(tagmem_change_mask(how, &set, &old)) < 0 ? -1 : (int)tagmem_mask_of_set(&old);
}

TAGMEM_EXPORT int sigblock(int mask) { return change_first(SIG_BLOCK, (unsigned)mask); }
TAGMEM_EXPORT int sigsetmask(int mask) { return change_first(SIG_SETMASK, (unsigned)mask); }
TAGMEM_EXPORT int siggetmask(void) { return change_first(SIG_BLOCK, 0); }

static int change_one(int how, int number) {
	sigset_t set;
	sigemptyset(&set);
	return sigaddset(&set, number) != 0 ? -1 : (int)tagmem_result(tagmem_change_mask(how, &set, NULL));
}

TAGMEM_EXPORT int sighold(int number) { return change_one(SIG_BLOCK, number); }

TAGMEM_EXPORT int sigrelse(int number) { return change_one(SIG_UNBLOCK, number); }
