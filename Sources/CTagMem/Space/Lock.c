/* The one lock, for handlers too: a thread that holds it gets no signal. */
#include "internal.h"
#include "Fork.h"
#include "Kernel.h"

#include <linux/futex.h>

enum { is_free, is_held, is_awaited };
static uint32_t state;
static uint64_t mask_of_holder;

void tagmem_lock(void) {
	uint64_t all = ~0ull, mask;
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
	for (int tries = 0; tries < 100; tries++) {
		uint32_t expected = is_free;
		if (__atomic_compare_exchange_n(&state, &expected, is_held, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			mask_of_holder = mask;
			return;
		}
		__builtin_ia32_pause();
	}
	while (__atomic_exchange_n(&state, is_awaited, __ATOMIC_ACQUIRE) != is_free) {
		tagmem_call(SYS_futex, &state, FUTEX_WAIT_PRIVATE, is_awaited, NULL);
	}
	mask_of_holder = mask;
}

void tagmem_unlock(void) {
	uint64_t mask = mask_of_holder;
	if (__atomic_exchange_n(&state, is_free, __ATOMIC_RELEASE) == is_awaited) {
		tagmem_call(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1);
	}
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

/* In a child of fork, whose only thread does not hold the lock. To take it before a fork would stop all if a thread that
 * has a lock of libc, which fork waits for, came to a trap meanwhile. */
void tagmem_lock_of_child(void) { __atomic_store_n(&state, is_free, __ATOMIC_RELEASE); }
