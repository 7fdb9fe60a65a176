/* Waiting for signals: the stand-ins come as what they stand for. */
#include "Signals.h"

#include <time.h>

_Thread_local struct tagmem_wait tagmem_wait __attribute__((tls_model("initial-exec")));

long tagmem_kernel_waiting(tagmem_mask mask, long number, long a, long b, long c, long d, long e, long f) {
	tagmem_wait = (struct tagmem_wait){true, mask};
	long result = tagmem_kernel_cancellable(number, a, b, c, d, e, f);
	tagmem_wait.is_waiting = false;
	return result;
}

TAGMEM_EXPORT int sigsuspend(const sigset_t *set) {
	tagmem_deliver_deferred();
	tagmem_mask mask = tagmem_mask_to_kernel(tagmem_mask_of_set(set));
	return (int)tagmem_result(tagmem_call_waiting(mask, SYS_rt_sigsuspend, &mask, sizeof mask));
}

/* A negative errno, or the number. */
static long wait_for(const sigset_t *set, siginfo_t *info, const struct timespec *timeout) {
	tagmem_deliver_deferred();
	tagmem_mask mask = tagmem_mask_to_kernel(tagmem_mask_of_set(set));
	siginfo_t own;
	long number;
	for (;;) {
		number = tagmem_call_cancellable(SYS_rt_sigtimedwait, &mask, &own, timeout, sizeof mask);
		/* The timer of a fault: it is told, if it is still to be. */
		if (number != tagmem_stand_in_segv || tagmem_is_due(&own))
			break;
	}
	if (number <= 0)
		return number;
	tagmem_end_wait(&own);
	number = own.si_signo;
	if (info != NULL)
		*info = own;
	return number;
}

TAGMEM_EXPORT int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
			       const struct timespec *restrict timeout) {
	return (int)tagmem_result(wait_for(set, info, timeout));
}

TAGMEM_EXPORT int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info) {
	return (int)tagmem_result(wait_for(set, info, NULL));
}

TAGMEM_EXPORT int sigwait(const sigset_t *restrict set, int *restrict number) {
	long result;
	do
		result = wait_for(set, NULL, NULL);
	while (result == -EINTR);
	if (result < 0)
		return (int)-result;
	*number = (int)result;
	return 0;
}

TAGMEM_EXPORT int sigpause(int mask) {
	sigset_t set;
	memset(&set, 0, sizeof set);
	tagmem_set_of_mask(&set, (unsigned)mask);
	return sigsuspend(&set);
}
