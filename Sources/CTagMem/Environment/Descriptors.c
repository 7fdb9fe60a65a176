/* Calls on descriptors whose argument may be a pointer. */
#include "Buffers.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

TAGMEM_EXPORT int pipe2(int ends[2], int flags) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call(SYS_pipe2, tagmem_struct(ends, 2 * sizeof *ends, true), flags));
}

TAGMEM_EXPORT int pipe(int ends[2]) { return pipe2(ends, 0); }

/* How much of the argument the kernel looks at is in most requests; of others it is the least. */
TAGMEM_EXPORT int ioctl(int fd, unsigned long request, ...) {
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	tagmem_deliver_deferred();
	size_t size = _IOC_SIZE(request) > 0 ? _IOC_SIZE(request) : 1;
	bool is_store = (_IOC_DIR(request) & _IOC_READ) != 0;
	return (int)tagmem_result(tagmem_call(SYS_ioctl, fd, request, tagmem_struct(argument, size, is_store)));
}

static int control(int fd, int command, void *argument) {
	tagmem_deliver_deferred();
	switch (command) {
	case F_GETLK:
	case F_OFD_GETLK: argument = tagmem_struct(argument, sizeof(struct flock), true); break;
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW: argument = tagmem_struct(argument, sizeof(struct flock), false); break;
	case F_GETOWN_EX: argument = tagmem_struct(argument, sizeof(struct f_owner_ex), true); break;
	case F_SETOWN_EX: argument = tagmem_struct(argument, sizeof(struct f_owner_ex), false); break;
	case F_GETOWN: {
		/* Of a process group the number is negative, and no errno: libc asks so. */
		struct f_owner_ex owner;
		long error = tagmem_call(SYS_fcntl, fd, F_GETOWN_EX, &owner);
		if (error < 0)
			return (int)tagmem_result(error);
		return owner.type == F_OWNER_GID ? -owner.pid : owner.pid;
	}
	default: break;
	}
	if (command == F_SETLKW || command == F_OFD_SETLKW)
		return (int)tagmem_result(tagmem_call_cancellable(SYS_fcntl, fd, command, argument));
	return (int)tagmem_result(tagmem_call(SYS_fcntl, fd, command, argument));
}

#define CONTROL(name)                                                                                                  \
	int name(int fd, int command, ...);                                                                            \
	TAGMEM_EXPORT int name(int fd, int command, ...) {                                                             \
		va_list list;                                                                                           \
		va_start(list, command);                                                                                \
		void *argument = va_arg(list, void *);                                                                  \
		va_end(list);                                                                                           \
		return control(fd, command, argument);                                                                  \
	}

CONTROL(fcntl)
CONTROL(fcntl64)
