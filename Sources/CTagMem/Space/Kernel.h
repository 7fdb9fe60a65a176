/*
 * The kernel's system calls themselves: those of libc may be the environment's, and set errno. The result is -errno
 * for an error.
 */
#ifndef TAGMEM_KERNEL_H
#define TAGMEM_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long tagmem_kernel(long number, long a, long b, long c, long d, long e, long f) {
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}

/* `tagmem_call(SYS_close, fd)`: up to six arguments, of any type that fits. */
#define tagmem_call(...) tagmem_call_of(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define tagmem_call_of(number, a, b, c, d, e, f, ...) \
	tagmem_kernel(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Memory of the library's own: mmap itself may give the environment's. */
static inline void *tagmem_kernel_map(size_t length, int protection, int flags, int file) {
	long result = tagmem_call(SYS_mmap, NULL, length, protection, flags, file, 0);
	return (unsigned long)result >= -4095ul ? (void *)-1 : (void *)result;
}

static inline bool tagmem_call_failed(long result) { return (unsigned long)result >= -4095ul; }

#endif
