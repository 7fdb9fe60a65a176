/* The real-time signals: the last two are the library's. */
#include "Signals.h"

static _Atomic int first = 34, last = tagmem_stand_in_bus - 1;

int __libc_current_sigrtmin(void);
int __libc_current_sigrtmax(void);
int __libc_allocate_rtsig(int high);

TAGMEM_EXPORT int __libc_current_sigrtmin(void) { return first; }
TAGMEM_EXPORT int __libc_current_sigrtmax(void) { return last; }

/* Takes one away from the program, for a library. */
TAGMEM_EXPORT int __libc_allocate_rtsig(int high) {
	if (first > last)
		return -1;
	return high ? first++ : last--;
}
