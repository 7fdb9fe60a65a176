/*
 * Functions on bytes whose number is known. Their ranges are checked first, so one that faults has done nothing.
 */
#include <string.h>

#include "check.h"
#include "work.h"
#include "names.h"

static inline void *checked_move(void *to, const void *from, size_t size) {
	size = may_load(from, size);
	size = may_store(to, size);
	move(to, from, size);
	return to;
}

PUBLIC void *memmove(void *to, const void *from, size_t size) { return checked_move(to, from, size); }
PUBLIC void *memcpy(void *restrict to, const void *restrict from, size_t size) { return checked_move(to, from, size); }
PUBLIC void *mempcpy(void *restrict to, const void *restrict from, size_t size) {
	return (char *)checked_move(to, from, size) + size;
}
PUBLIC void *__mempcpy(void *restrict to, const void *restrict from, size_t size) {
	return (char *)checked_move(to, from, size) + size;
}
PUBLIC void bcopy(const void *from, void *to, size_t size) { checked_move(to, from, size); }

static inline void *checked_fill(void *to, int value, size_t size) {
	fill(to, (unsigned char)value, may_store(to, size));
	return to;
}

PUBLIC void *memset(void *to, int value, size_t size) { return checked_fill(to, value, size); }
PUBLIC void bzero(void *to, size_t size) { checked_fill(to, 0, size); }
PUBLIC void explicit_bzero(void *to, size_t size) {
	checked_fill(to, 0, size);
	__asm__ volatile("" : : "r"(to) : "memory");
}

/* All bytes of both, wherever they begin to differ. */
static inline int checked_compare(const void *a, const void *b, size_t size) {
	size = may_load(a, size);
	size = may_load(b, size);
	size_t at = common(a, b, size);
	return at == size ? 0 : ((const unsigned char *)a)[at] - ((const unsigned char *)b)[at];
}

PUBLIC int memcmp(const void *a, const void *b, size_t size) { return checked_compare(a, b, size); }
PUBLIC int bcmp(const void *a, const void *b, size_t size) { return checked_compare(a, b, size); }

/* The names that compilers are asked for, or have, in instrumented code. */
#define COMPILER_NAMES(prefix) \
	PUBLIC void *prefix##_memcpy(void *to, const void *from, size_t size) { return checked_move(to, from, size); } \
	PUBLIC void *prefix##_memmove(void *to, const void *from, size_t size) { return checked_move(to, from, size); } \
	PUBLIC void *prefix##_memset(void *to, int value, size_t size) { return checked_fill(to, value, size); }
COMPILER_NAMES(__asan)
COMPILER_NAMES(__hwasan)

/* With the size of what `to` points to, as far as the compiler knew it. */
PUBLIC void *__memcpy_chk(void *to, const void *from, size_t size, size_t room) {
	return checked_move(to, from, fits(size, room));
}
PUBLIC void *__memmove_chk(void *to, const void *from, size_t size, size_t room) {
	return checked_move(to, from, fits(size, room));
}
PUBLIC void *__mempcpy_chk(void *to, const void *from, size_t size, size_t room) {
	return (char *)checked_move(to, from, fits(size, room)) + size;
}
PUBLIC void *__memset_chk(void *to, int value, size_t size, size_t room) {
	return checked_fill(to, value, fits(size, room));
}
PUBLIC void __explicit_bzero_chk(void *to, size_t size, size_t room) { explicit_bzero(to, fits(size, room)); }
