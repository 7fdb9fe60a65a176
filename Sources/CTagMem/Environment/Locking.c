/* One thread maps at a time. Its handlers wait until it is done, but faults of what has gone come. */
#include "Environment.h"

#include <linux/futex.h>

enum { is_free, is_held, is_awaited };
static uint32_t state;
static uint64_t mask_of_holder;

void tagmem_lock_environment(void) {
	uint64_t all = ~(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1)), mask;
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
	uint32_t expected = is_free;
	if (!__atomic_compare_exchange_n(&state, &expected, is_held, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		while (__atomic_exchange_n(&state, is_awaited, __ATOMIC_ACQUIRE) != is_free)
			tagmem_call(SYS_futex, &state, FUTEX_WAIT_PRIVATE, is_awaited, NULL);
	}
	mask_of_holder = mask;
}

void tagmem_unlock_environment(void) {
	uint64_t mask = mask_of_holder;
	if (__atomic_exchange_n(&state, is_free, __ATOMIC_RELEASE) == is_awaited)
		tagmem_call(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1);
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

/* In a child of fork, whose only thread holds it. */
void tagmem_reset_environment_lock(void) { __atomic_store_n(&state, is_held, __ATOMIC_RELEASE); }
