/*
 * Functions that compare strings: they read both up to the first difference, or the end.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "check.h"
#include "names.h"

static inline int folded(unsigned char byte, bool folds) { return folds ? tolower(byte) : byte; }

static inline int compare(const char *a, const char *b, size_t limit, bool folds) {
	for (size_t at = 0; at < limit; at++) {
		if ((at == 0 || begins_granule(a + at)) && !may_load(a + at, 1))
			break;
		if ((at == 0 || begins_granule(b + at)) && !may_load(b + at, 1))
			break;
		unsigned char x = (unsigned char)a[at], y = (unsigned char)b[at];
		int difference = folded(x, folds) - folded(y, folds);
		if (difference || !x)
			return difference;
	}
	return 0;
}

PUBLIC int strcmp(const char *a, const char *b) { return compare(a, b, SIZE_MAX, false); }
PUBLIC int strncmp(const char *a, const char *b, size_t limit) { return compare(a, b, limit, false); }
PUBLIC int strcasecmp(const char *a, const char *b) { return compare(a, b, SIZE_MAX, true); }
PUBLIC int strncasecmp(const char *a, const char *b, size_t limit) { return compare(a, b, limit, true); }
