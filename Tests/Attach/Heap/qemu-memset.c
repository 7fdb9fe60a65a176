/*
 * For programs that run in qemu-user: that of QEMU 7.2 refuses DC ZVA through a pointer with a tag, and the C library's memset
 * zeroes by it.
 */
#include <stddef.h>

void *memset(void *to, int value, size_t size) {
	volatile unsigned char *bytes = to;
	for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)value;
	return to;
}
