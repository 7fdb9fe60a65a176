/*
 * Functions that look for something: the bytes that they read are those up to what they find.
 */
#include <string.h>

#include "names.h"
#include "scan.h"
#include "work.h"

PUBLIC size_t strlen(const char *string) { return checked_length(string); }
PUBLIC size_t strnlen(const char *string, size_t limit) { return length_up_to(string, limit); }

PUBLIC void *memchr(const void *bytes, int value, size_t size) {
	size_t at;
	return scan(bytes, (char)value, false, size, &at) ? (char *)bytes + at : NULL;
}

PUBLIC void *rawmemchr(const void *bytes, int value) {
	size_t at;
	scan(bytes, (char)value, false, SIZE_MAX, &at);
	return (char *)bytes + at;
}

PUBLIC void *memrchr(const void *bytes, int value, size_t size) {
	const char *start = bytes;
	for (size_t at = size; at > 0; at--) {
		if ((at == size || begins_granule(start + at)) && !may_load(start + at - 1, 1))
			break;
		if (start[at - 1] == (char)value)
			return (char *)start + at - 1;
	}
	return NULL;
}

PUBLIC char *strchrnul(const char *string, int value) {
	size_t at;
	scan(string, (char)value, true, SIZE_MAX, &at);
	return (char *)string + at;
}

static inline char *first(const char *string, int value) {
	size_t at;
	return scan(string, (char)value, true, SIZE_MAX, &at) && string[at] == (char)value ? (char *)string + at : NULL;
}

static inline char *last(const char *string, int value) {
	for (size_t at = checked_length(string) + 1; at > 0; at--)
		if (string[at - 1] == (char)value)
			return (char *)string + at - 1;
	return NULL;
}

PUBLIC char *strchr(const char *string, int value) { return first(string, value); }
PUBLIC char *index(const char *string, int value) { return first(string, value); }
PUBLIC char *strrchr(const char *string, int value) { return last(string, value); }
PUBLIC char *rindex(const char *string, int value) { return last(string, value); }

/* Both are checked. Sums of bytes, weighted by their places, are compared first: so it takes time for each byte once. */
static void *find(const char *bytes, size_t size, const char *wanted, size_t length) {
	const uint32_t base = 0x01000193;
	uint32_t sum = 0, wanted_sum = 0, weight = 1;
	if (length > size)
		return NULL;
	for (size_t at = 0; at < length; at++) {
		sum = sum * base + (unsigned char)bytes[at];
		wanted_sum = wanted_sum * base + (unsigned char)wanted[at];
		weight *= base;
	}
	for (size_t at = 0;; at++) {
		if (sum == wanted_sum &&
		    common((const unsigned char *)bytes + at, (const unsigned char *)wanted, length) == length)
			return (char *)bytes + at;
		if (at + length >= size)
			return NULL;
		sum = sum * base + (unsigned char)bytes[at + length] - weight * (unsigned char)bytes[at];
	}
}

PUBLIC void *memmem(const void *bytes, size_t size, const void *wanted, size_t length) {
	size = may_load(bytes, size);
	return find(bytes, size, wanted, may_load(wanted, length));
}

PUBLIC char *strstr(const char *string, const char *wanted) {
	size_t length = checked_length(wanted);
	return find(string, checked_length(string), wanted, length);
}

/* The first byte of a string that is in the set (or not in it) or the end; NULL if it must not be read that far. */
static inline const char *first_of(const char *string, const char *set, bool in_set, size_t *before) {
	uint64_t members[4] = {0};
	for (size_t length = checked_length(set), at = 0; at < length; at++)
		members[(unsigned char)set[at] / 64] |= 1ull << (unsigned char)set[at] % 64;
	for (*before = 0;; ++*before) {
		const char *here = string + *before;
		if ((*before == 0 || begins_granule(here)) && !may_load(here, 1))
			return NULL;
		unsigned char byte = (unsigned char)*here;
		if (!byte || (members[byte / 64] >> byte % 64 & 1) == in_set)
			return here;
	}
}

PUBLIC size_t strspn(const char *string, const char *set) {
	size_t length;
	first_of(string, set, false, &length);
	return length;
}
PUBLIC size_t strcspn(const char *string, const char *set) {
	size_t length;
	first_of(string, set, true, &length);
	return length;
}
PUBLIC char *strpbrk(const char *string, const char *set) {
	size_t length;
	const char *found = first_of(string, set, true, &length);
	return found && *found ? (char *)found : NULL;
}
