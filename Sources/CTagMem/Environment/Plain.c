/* System calls without buffers with which programs wait for what is to happen: an asynchronous fault is told there, too. */
#include "Calls.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

TAGMEM_EXPORT int sched_yield(void) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call(SYS_sched_yield));
}

TAGMEM_EXPORT pid_t getpid(void) {
	tagmem_deliver_deferred();
	return (pid_t)tagmem_call(SYS_getpid);
}

TAGMEM_EXPORT pid_t getppid(void) {
	tagmem_deliver_deferred();
	return (pid_t)tagmem_call(SYS_getppid);
}

TAGMEM_EXPORT pid_t gettid(void) {
	tagmem_deliver_deferred();
	return (pid_t)tagmem_call(SYS_gettid);
}

TAGMEM_EXPORT int pause(void) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call_cancellable(SYS_pause));
}

TAGMEM_EXPORT int usleep(useconds_t microseconds) {
	struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000l};
	return nanosleep(&time, NULL);
}

TAGMEM_EXPORT unsigned sleep(unsigned seconds) {
	struct timespec time = {seconds, 0}, left = {0, 0};
	/* As libc's: a second that has begun does not count. */
	return nanosleep(&time, &left) == 0 ? 0 : (unsigned)left.tv_sec;
}
