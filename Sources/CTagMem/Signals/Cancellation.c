/* A thread that waits in the kernel can be cancelled there, as in libc's functions. */
#include "Calls.h"

#include <pthread.h>
#include <sys/single_threaded.h>

long tagmem_kernel_cancellable(long number, long a, long b, long c, long d, long e, long f) {
	if (__libc_single_threaded)
		return tagmem_kernel(number, a, b, c, d, e, f);
	int type;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	long result = tagmem_kernel(number, a, b, c, d, e, f);
	pthread_setcanceltype(type, &type);
	return result;
}
