/* poll and kin: their arguments, and the masks that they wait with. */
#include "Buffers.h"
#include "Signals/Signals.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

/* A mask of the program, as the kernel has it: `mask` or NULL. */
static tagmem_mask *mask_of(const sigset_t *set, tagmem_mask *mask) {
	if (set == NULL)
		return NULL;
	sigset_t *plain = tagmem_struct(set, sizeof *mask, false);
	if (plain == tagmem_refused)
		return tagmem_refused;
	*mask = tagmem_mask_to_kernel(tagmem_mask_of_set(plain));
	return mask;
}

/* A call that has the mask in place of the thread's. */
#define WAIT(set, mask, ...)                                                                                           \
	((set) == NULL ? tagmem_call_cancellable(__VA_ARGS__) : tagmem_call_waiting(mask, __VA_ARGS__))

TAGMEM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout) {
	tagmem_deliver_deferred();
	fds = tagmem_struct(fds, count * sizeof *fds, true);
	return (int)tagmem_result(tagmem_call_cancellable(SYS_poll, fds, count, timeout));
}

TAGMEM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *set) {
	tagmem_deliver_deferred();
	tagmem_mask mask = 0, *masked = mask_of(set, &mask);
	struct timespec left, *bounded = TAGMEM_IN(timeout);
	/* The kernel writes what is left of it. */
	if (bounded != NULL && bounded != tagmem_refused) {
		left = *bounded;
		bounded = &left;
	}
	fds = tagmem_struct(fds, count * sizeof *fds, true);
	return (int)tagmem_result(WAIT(set, mask, SYS_ppoll, fds, count, bounded, masked, sizeof mask));
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *set, size_t size);
_Noreturn void __chk_fail(void);

TAGMEM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
	if (size / sizeof *fds < count)
		__chk_fail();
	return poll(fds, count, timeout);
}

TAGMEM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *set,
			      size_t size) {
	if (size / sizeof *fds < count)
		__chk_fail();
	return ppoll(fds, count, timeout, set);
}

static fd_set *fds_of(fd_set *set, int count) {
	size_t size = count < 0 ? 0 : (size_t)(count + 63) / 64 * 8;
	return size == 0 ? set : tagmem_struct(set, size, true);
}

TAGMEM_EXPORT int pselect(int count, fd_set *restrict reads, fd_set *restrict writes, fd_set *restrict others,
			  const struct timespec *restrict timeout, const sigset_t *restrict set) {
	tagmem_deliver_deferred();
	tagmem_mask mask = 0;
	struct {
		tagmem_mask *mask;
		size_t size;
	} masked = {mask_of(set, &mask), sizeof mask};
	struct timespec left, *bounded = TAGMEM_IN(timeout);
	if (bounded != NULL && bounded != tagmem_refused) {
		left = *bounded;
		bounded = &left;
	}
	return (int)tagmem_result(WAIT(set, mask, SYS_pselect6, count, fds_of(reads, count), fds_of(writes, count),
				       fds_of(others, count), bounded, &masked));
}

TAGMEM_EXPORT int select(int count, fd_set *restrict reads, fd_set *restrict writes, fd_set *restrict others,
			 struct timeval *restrict timeout) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call_cancellable(SYS_select, count, fds_of(reads, count), fds_of(writes, count),
							  fds_of(others, count), TAGMEM_OUT(timeout)));
}

TAGMEM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *set) {
	tagmem_deliver_deferred();
	tagmem_mask mask = 0, *masked = mask_of(set, &mask);
	if (count > 0)
		events = tagmem_struct(events, (size_t)count * sizeof *events, true);
	return (int)tagmem_result(WAIT(set, mask, SYS_epoll_pwait, fd, events, count, timeout, masked, sizeof mask));
}

TAGMEM_EXPORT int epoll_wait(int fd, struct epoll_event *events, int count, int timeout) {
	return epoll_pwait(fd, events, count, timeout, NULL);
}

TAGMEM_EXPORT int epoll_ctl(int fd, int operation, int other, struct epoll_event *event) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call(SYS_epoll_ctl, fd, operation, other, TAGMEM_IN(event)));
}

/* MARK: Children and time */

TAGMEM_EXPORT pid_t wait4(pid_t process, int *status, int flags, struct rusage *usage) {
	tagmem_deliver_deferred();
	return (pid_t)tagmem_result(
	    tagmem_call_cancellable(SYS_wait4, process, TAGMEM_OUT(status), flags, TAGMEM_OUT(usage)));
}

TAGMEM_EXPORT pid_t waitpid(pid_t process, int *status, int flags) { return wait4(process, status, flags, NULL); }
TAGMEM_EXPORT pid_t wait(int *status) { return wait4(-1, status, 0, NULL); }

TAGMEM_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
	tagmem_deliver_deferred();
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return EINVAL;
	return (int)-tagmem_call_cancellable(SYS_clock_nanosleep, clock, flags, TAGMEM_IN(time), TAGMEM_OUT(left));
}

TAGMEM_EXPORT int nanosleep(const struct timespec *time, struct timespec *left) {
	int error = clock_nanosleep(CLOCK_REALTIME, 0, time, left);
	return (int)tagmem_result(-error);
}
