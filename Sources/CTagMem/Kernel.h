/*
 * System calls as the kernel takes them: not through libc, whose functions of these names are the library's own. The
 * result is negative with an errno; errno itself stays. Async-signal-safe.
 */
#ifndef TAGMEM_KERNEL_H
#define TAGMEM_KERNEL_H

#include "internal.h"

#include <errno.h>
#include <sys/syscall.h>

static inline long tagmem_kernel(long number, long a, long b, long c, long d, long e, long f) {
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define TAGMEM_KERNEL_7(n, a, b, c, d, e, f, ...)                                                                      \
	tagmem_kernel(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* tagmem_call(SYS_…, up to six arguments) */
#define tagmem_call(...) TAGMEM_KERNEL_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

#pragma GCC visibility push(hidden)
/* The same for a system call that is a cancellation point. */
long tagmem_kernel_cancellable(long number, long a, long b, long c, long d, long e, long f);
#pragma GCC visibility pop
#define TAGMEM_CANCELLABLE_7(n, a, b, c, d, e, f, ...)                                                                 \
	tagmem_kernel_cancellable(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define tagmem_call_cancellable(...) TAGMEM_CANCELLABLE_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* A result of the kernel as libc's functions give it. */
static inline long tagmem_result(long result) {
	if (result >= 0 || result < -4095)
		return result;
	errno = (int)-result;
	return -1;
}

#endif
