/*
 * System calls as libc's functions make them, whose names are the library's own here: errno, and cancellation.
 */
#ifndef TAGMEM_CALLS_H
#define TAGMEM_CALLS_H

#include "internal.h"

#include "Space/Kernel.h"

#include <errno.h>

/* A definition in place of libc's. */
#define TAGMEM_EXPORT __attribute__((visibility("default")))

#pragma GCC visibility push(hidden)
/* One that is a cancellation point. */
long tagmem_kernel_cancellable(long number, long a, long b, long c, long d, long e, long f);
#pragma GCC visibility pop
#define TAGMEM_CANCELLABLE_7(n, a, b, c, d, e, f, ...)                                                                 \
	tagmem_kernel_cancellable(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define tagmem_call_cancellable(...) TAGMEM_CANCELLABLE_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* A result of the kernel as libc's functions give it. */
static inline long tagmem_result(long result) {
	if (!tagmem_call_failed(result))
		return result;
	errno = (int)-result;
	return -1;
}

#endif
