/*
 * Functions that store strings: the string is read and checked first, then all that is stored to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "scan.h"
#include "work.h"

/* Copies `length` bytes that are checked, and the 0 behind them. Where a handler has skipped a fault there is no end. */
static inline char *store(char *to, const char *from, size_t length) {
	size_t size = may_store(to, length + 1);
	move(to, from, size > length ? length : size);
	if (size > length)
		to[length] = 0;
	return to + length;
}

static inline char *copy(char *to, const char *from) { return store(to, from, checked_length(from)); }

static inline char *append(char *to, const char *from, size_t limit) {
	char *end = to + checked_length(to);
	store(end, from, length_up_to(from, limit));
	return to;
}

/* strncpy: zeroes up to `size`. Returns where they begin. */
static inline char *copy_padded(char *to, const char *from, size_t size) {
	size_t length = length_up_to(from, size);
	size_t stored = may_store(to, size);
	if (length > stored)
		length = stored;
	move(to, from, length);
	fill(to + length, 0, stored - length);
	return to + length;
}

PUBLIC char *strcpy(char *restrict to, const char *restrict from) {
	copy(to, from);
	return to;
}
PUBLIC char *stpcpy(char *restrict to, const char *restrict from) { return copy(to, from); }
PUBLIC char *__stpcpy(char *restrict to, const char *restrict from) { return copy(to, from); }
PUBLIC char *strncpy(char *restrict to, const char *restrict from, size_t size) {
	copy_padded(to, from, size);
	return to;
}
PUBLIC char *stpncpy(char *restrict to, const char *restrict from, size_t size) { return copy_padded(to, from, size); }
PUBLIC char *strcat(char *restrict to, const char *restrict from) { return append(to, from, SIZE_MAX); }
PUBLIC char *strncat(char *restrict to, const char *restrict from, size_t limit) { return append(to, from, limit); }

PUBLIC void *memccpy(void *restrict to, const void *restrict from, int value, size_t size) {
	size_t length;
	bool is_found = scan(from, (char)value, false, size, &length);
	move(to, from, may_store(to, length + is_found));
	return is_found ? (char *)to + length + 1 : NULL;
}

static inline char *duplicate(const char *string, size_t length) {
	char *copy = malloc(length + 1);
	return copy ? (store(copy, string, length), copy) : NULL;
}

PUBLIC char *strdup(const char *string) { return duplicate(string, checked_length(string)); }
PUBLIC char *__strdup(const char *string) { return duplicate(string, checked_length(string)); }
PUBLIC char *strndup(const char *string, size_t limit) { return duplicate(string, length_up_to(string, limit)); }
PUBLIC char *__strndup(const char *string, size_t limit) { return duplicate(string, length_up_to(string, limit)); }

/* With the size of what `to` points to, as far as the compiler knew it. */
PUBLIC char *__strcpy_chk(char *to, const char *from, size_t room) {
	size_t length = checked_length(from);
	store(to, from, fits(length + 1, room) - 1);
	return to;
}
PUBLIC char *__stpcpy_chk(char *to, const char *from, size_t room) {
	size_t length = checked_length(from);
	return store(to, from, fits(length + 1, room) - 1);
}
PUBLIC char *__strncpy_chk(char *to, const char *from, size_t size, size_t room) {
	copy_padded(to, from, fits(size, room));
	return to;
}
PUBLIC char *__stpncpy_chk(char *to, const char *from, size_t size, size_t room) {
	return copy_padded(to, from, fits(size, room));
}
PUBLIC char *__strcat_chk(char *to, const char *from, size_t room) {
	fits(checked_length(to) + checked_length(from) + 1, room);
	return append(to, from, SIZE_MAX);
}
PUBLIC char *__strncat_chk(char *to, const char *from, size_t limit, size_t room) {
	fits(checked_length(to) + length_up_to(from, limit) + 1, room);
	return append(to, from, limit);
}
