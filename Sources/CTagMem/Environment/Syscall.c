/* syscall(): the calls that the library has functions for go to them. */
#include "Environment.h"

#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

TAGMEM_EXPORT long syscall(long number, ...) {
	va_list list;
	va_start(list, number);
	long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
	long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
	va_end(list);
	tagmem_deliver_deferred();
	switch (number) {
	case SYS_mmap: return (long)mmap((void *)a, (size_t)b, (int)c, (int)d, (int)e, f);
	case SYS_munmap: return munmap((void *)a, (size_t)b);
	case SYS_mprotect: return mprotect((void *)a, (size_t)b, (int)c);
	case SYS_mremap: return (long)mremap((void *)a, (size_t)b, (size_t)c, (int)d, (void *)e);
	case SYS_madvise: return madvise((void *)a, (size_t)b, (int)c);
	case SYS_mincore: return mincore((void *)a, (size_t)b, (unsigned char *)c);
	case SYS_msync: return msync((void *)a, (size_t)b, (int)c);
	case SYS_mlock: return mlock((void *)a, (size_t)b);
	case SYS_munlock: return munlock((void *)a, (size_t)b);
	case SYS_prctl: return prctl((int)a, b, c, d, e);
	case SYS_read: return read((int)a, (void *)b, (size_t)c);
	case SYS_write: return write((int)a, (void *)b, (size_t)c);
	case SYS_readv: return readv((int)a, (const struct iovec *)b, (int)c);
	case SYS_writev: return writev((int)a, (const struct iovec *)b, (int)c);
	case SYS_pread64: return pread((int)a, (void *)b, (size_t)c, d);
	case SYS_pwrite64: return pwrite((int)a, (void *)b, (size_t)c, d);
	default: return tagmem_result(tagmem_kernel(number, a, b, c, d, e, f));
	}
}
