/* read, write and kin. */
#include "Buffers.h"

#include <unistd.h>

static ssize_t transfer(long number, int fd, uintptr_t buffer, size_t length, off_t offset, bool is_store) {
	tagmem_deliver_deferred();
	void *plain;
	length = tagmem_buffer((const void *)buffer, length, is_store, &plain);
	return tagmem_result(tagmem_call_cancellable(number, fd, plain, length, offset));
}

TAGMEM_EXPORT ssize_t read(int fd, void *buffer, size_t length) {
	return transfer(SYS_read, fd, (uintptr_t)buffer, length, 0, true);
}

TAGMEM_EXPORT ssize_t write(int fd, const void *buffer, size_t length) {
	return transfer(SYS_write, fd, (uintptr_t)buffer, length, 0, false);
}

TAGMEM_EXPORT ssize_t pread(int fd, void *buffer, size_t length, off_t offset) {
	return transfer(SYS_pread64, fd, (uintptr_t)buffer, length, offset, true);
}

TAGMEM_EXPORT ssize_t pwrite(int fd, const void *buffer, size_t length, off_t offset) {
	return transfer(SYS_pwrite64, fd, (uintptr_t)buffer, length, offset, false);
}

TAGMEM_EXPORT ssize_t pread64(int fd, void *buffer, size_t length, off64_t offset) {
	return pread(fd, buffer, length, offset);
}

TAGMEM_EXPORT ssize_t pwrite64(int fd, const void *buffer, size_t length, off64_t offset) {
	return pwrite(fd, buffer, length, offset);
}

/* MARK: Several buffers */

static ssize_t transfer_all(long number, int fd, const struct iovec *vector, int count, off_t offset, int flags,
			    bool is_store) {
	tagmem_deliver_deferred();
	/* The kernel takes the offset in two halves, of which the upper one is of no account here. */
	if (!tagmem_has_spans() || count <= 0 || count > tagmem_vector_max)
		return tagmem_result(tagmem_call_cancellable(number, fd, vector, count, offset, 0, flags));
	struct iovec plain[count];
	count = tagmem_vector(vector, count, is_store, plain);
	return tagmem_result(tagmem_call_cancellable(number, fd, plain, count, offset, 0, flags));
}

TAGMEM_EXPORT ssize_t readv(int fd, const struct iovec *vector, int count) {
	return transfer_all(SYS_readv, fd, vector, count, 0, 0, true);
}

TAGMEM_EXPORT ssize_t writev(int fd, const struct iovec *vector, int count) {
	return transfer_all(SYS_writev, fd, vector, count, 0, 0, false);
}

#define POSITIONED(suffix, offset_type)                                                                                \
	TAGMEM_EXPORT ssize_t preadv##suffix(int fd, const struct iovec *vector, int count, offset_type offset) {       \
		return transfer_all(SYS_preadv, fd, vector, count, offset, 0, true);                                    \
	}                                                                                                               \
	TAGMEM_EXPORT ssize_t pwritev##suffix(int fd, const struct iovec *vector, int count, offset_type offset) {      \
		return transfer_all(SYS_pwritev, fd, vector, count, offset, 0, false);                                  \
	}                                                                                                               \
	TAGMEM_EXPORT ssize_t preadv##suffix##v2(int fd, const struct iovec *vector, int count, offset_type offset,     \
						 int flags) {                                                           \
		return transfer_all(SYS_preadv2, fd, vector, count, offset, flags, true);                               \
	}                                                                                                               \
	TAGMEM_EXPORT ssize_t pwritev##suffix##v2(int fd, const struct iovec *vector, int count, offset_type offset,    \
						  int flags) {                                                          \
		return transfer_all(SYS_pwritev2, fd, vector, count, offset, flags, false);                             \
	}

#define preadvv2 preadv2
#define pwritevv2 pwritev2
POSITIONED(, off_t)
POSITIONED(64, off64_t)

/* MARK: With the sizes that _FORTIFY_SOURCE knows */

_Noreturn void __chk_fail(void);

#define CHECKED(name, parameters, arguments)                                                                           \
	ssize_t __##name##_chk parameters;                                                                             \
	TAGMEM_EXPORT ssize_t __##name##_chk parameters {                                                              \
		if (length > size)                                                                                      \
			__chk_fail();                                                                                   \
		return name arguments;                                                                                  \
	}

CHECKED(read, (int fd, void *buffer, size_t length, size_t size), (fd, buffer, length))
CHECKED(pread, (int fd, void *buffer, size_t length, off_t offset, size_t size), (fd, buffer, length, offset))
CHECKED(pread64, (int fd, void *buffer, size_t length, off64_t offset, size_t size), (fd, buffer, length, offset))

/* MARK: Random numbers */

TAGMEM_EXPORT ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
	tagmem_deliver_deferred();
	uintptr_t address = (uintptr_t)buffer;
	void *plain;
	length = tagmem_buffer((const void *)address, length, true, &plain);
	return tagmem_result(tagmem_call_cancellable(SYS_getrandom, plain, length, flags));
}

TAGMEM_EXPORT int getentropy(void *buffer, size_t length) {
	if (length > 256) {
		errno = EIO;
		return -1;
	}
	while (length > 0) {
		ssize_t count = getrandom(buffer, length, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return -1;
		buffer = (char *)buffer + count;
		length -= (size_t)count;
	}
	return 0;
}
