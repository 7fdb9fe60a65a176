/* fread and fwrite, which give large buffers to the kernel. What it would refuse libc's own copying is to find. */
#include "Buffers.h"

#include <stdio.h>

/* libc's, by the names that it has for itself. */
extern size_t _IO_fread(void *, size_t, size_t, FILE *);
extern size_t _IO_fwrite(const void *, size_t, size_t, FILE *);

static void *buffer_of(uintptr_t buffer, size_t size, size_t count, bool is_store) {
	size_t length;
	void *plain;
	if (__builtin_mul_overflow(size, count, &length))
		return (void *)buffer;
	ssize_t reach = tagmem_user_buffer((const void *)buffer, length, is_store, &plain);
	return reach == (ssize_t)length ? plain : (void *)buffer;
}

TAGMEM_EXPORT size_t fread(void *restrict buffer, size_t size, size_t count, FILE *restrict stream) {
	tagmem_deliver_deferred();
	return _IO_fread(buffer_of((uintptr_t)buffer, size, count, true), size, count, stream);
}

TAGMEM_EXPORT size_t fwrite(const void *restrict buffer, size_t size, size_t count, FILE *restrict stream) {
	tagmem_deliver_deferred();
	return _IO_fwrite(buffer_of((uintptr_t)buffer, size, count, false), size, count, stream);
}
