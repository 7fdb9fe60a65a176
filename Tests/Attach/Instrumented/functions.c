/*
 * Functions of libc in instrumented programs: that they do what they should, that they check exactly the bytes that they
 * access, and that one that faults has stored nothing.
 */
#include "fault.h"

#include <stdbool.h>
#include <strings.h>

#define NOINLINE __attribute__((noinline))

/* Called through pointers that compilers do not know. */
#define HIDDEN(name) static __typeof__(name) *volatile call_##name = name;
HIDDEN(memcpy) HIDDEN(memmove) HIDDEN(memset) HIDDEN(mempcpy) HIDDEN(memccpy) HIDDEN(memcmp) HIDDEN(bcmp) HIDDEN(memchr)
HIDDEN(memrchr) HIDDEN(rawmemchr) HIDDEN(memmem) HIDDEN(bcopy) HIDDEN(bzero) HIDDEN(explicit_bzero) HIDDEN(strlen)
HIDDEN(strnlen) HIDDEN(strcpy) HIDDEN(stpcpy) HIDDEN(strncpy) HIDDEN(stpncpy) HIDDEN(strcat) HIDDEN(strncat) HIDDEN(strcmp)
HIDDEN(strncmp) HIDDEN(strcasecmp) HIDDEN(strncasecmp) HIDDEN(strchr) HIDDEN(strchrnul) HIDDEN(strrchr) HIDDEN(index)
HIDDEN(rindex) HIDDEN(strstr) HIDDEN(strdup) HIDDEN(strndup) HIDDEN(strspn) HIDDEN(strcspn) HIDDEN(strpbrk)

void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);
char *__strcpy_chk(char *, const char *, size_t);
char *__stpcpy_chk(char *, const char *, size_t);
char *__strncpy_chk(char *, const char *, size_t, size_t);
char *__strcat_chk(char *, const char *, size_t);
char *__strncat_chk(char *, const char *, size_t, size_t);
HIDDEN(__memcpy_chk) HIDDEN(__memmove_chk) HIDDEN(__mempcpy_chk) HIDDEN(__memset_chk) HIDDEN(__strcpy_chk) HIDDEN(__stpcpy_chk)
HIDDEN(__strncpy_chk) HIDDEN(__strcat_chk) HIDDEN(__strncat_chk)
void *__asan_memcpy(void *, const void *, size_t), *__hwasan_memset(void *, int, size_t), *__hwasan_memmove(void *, const void *, size_t);
HIDDEN(__asan_memcpy) HIDDEN(__hwasan_memset) HIDDEN(__hwasan_memmove)

static volatile long result;
#define R(...) (result = (long)(__VA_ARGS__))

/* MARK: What is checked
 *
 * `a` and `b` have strings of n bytes, 'x' and a 0 behind; or n bytes are used of them. The bytes that count are as many of
 * each as the table says. */

enum extent { none, n_bytes, n_and_end, one };

static size_t bytes_of(enum extent extent, size_t n) {
	switch (extent) {
	case n_bytes: return n;
	case n_and_end: return n + 1;
	case one: return 1;
	default: return 0;
	}
}

struct function {
	const char *name;
	void (*run)(char *a, char *b, size_t n);
	enum extent a, b;
	bool stores_to_a;
	bool b_is_first; /* where both have a bad byte */
};

#define RUN(name, ...) static void run_##name(char *a, char *b, size_t n) { (void)a, (void)b, (void)n; __VA_ARGS__; }
RUN(memcpy, R(call_memcpy(a, b, n)))
RUN(memmove, R(call_memmove(a, b, n)))
RUN(mempcpy, R(call_mempcpy(a, b, n)))
RUN(bcopy, call_bcopy(b, a, n))
RUN(memccpy_all, R(call_memccpy(a, b, 'y', n)))
RUN(memccpy_some, R(call_memccpy(a, b, 0, n + 100)))
RUN(memset, R(call_memset(a, 'z', n)))
RUN(bzero, call_bzero(a, n))
RUN(explicit_bzero, call_explicit_bzero(a, n))
RUN(memcmp, R(call_memcmp(a, b, n)))
RUN(bcmp, R(call_bcmp(a, b, n)))
RUN(memchr_all, R(call_memchr(a, 'y', n)))
RUN(memchr_some, R(call_memchr(a, 0, n + 100)))
RUN(memrchr, R(call_memrchr(a, 'y', n)))
RUN(rawmemchr, R(call_rawmemchr(a, 0)))
RUN(memmem, R(call_memmem(a, n, b, n)))
RUN(strlen, R(call_strlen(a)))
RUN(strnlen, R(call_strnlen(a, n)))
RUN(strnlen_more, R(call_strnlen(a, n + 100)))
RUN(strcpy, R(call_strcpy(a, b)))
RUN(stpcpy, R(call_stpcpy(a, b)))
RUN(strncpy_all, R(call_strncpy(a, b, n)))
RUN(strncpy_end, R(call_strncpy(a, b, n + 1)))
RUN(stpncpy, R(call_stpncpy(a, b, n)))
RUN(strcat, R(call_strcat(a, b)))
RUN(strncat, R(call_strncat(a, b, n + 100)))
RUN(strcmp, R(call_strcmp(a, b)))
RUN(strncmp, R(call_strncmp(a, b, n)))
RUN(strncmp_more, R(call_strncmp(a, b, n + 100)))
RUN(strcasecmp, R(call_strcasecmp(a, b)))
RUN(strncasecmp, R(call_strncasecmp(a, b, n)))
RUN(strchr_none, R(call_strchr(a, 'y')))
RUN(strchrnul, R(call_strchrnul(a, 'y')))
RUN(strrchr, R(call_strrchr(a, 'x')))
RUN(index, R(call_index(a, 'y')))
RUN(rindex, R(call_rindex(a, 'y')))
RUN(strstr, R(call_strstr(a, b)))
RUN(strspn, R(call_strspn(a, "x")))
RUN(strcspn, R(call_strcspn(a, "y")))
RUN(strpbrk, R(call_strpbrk(a, "yz")))
RUN(strcspn_set, R(call_strcspn("q", b)))
RUN(strdup, char *copy = call_strdup(a); result = strcmp(copy, a); free(copy))
RUN(strndup, char *copy = call_strndup(a, n); result = (long)strlen(copy); free(copy))
RUN(memcpy_chk, R(call___memcpy_chk(a, b, n, n)))
RUN(memmove_chk, R(call___memmove_chk(a, b, n, n)))
RUN(mempcpy_chk, R(call___mempcpy_chk(a, b, n, n)))
RUN(memset_chk, R(call___memset_chk(a, 'z', n, n)))
RUN(strcpy_chk, R(call___strcpy_chk(a, b, n + 1)))
RUN(stpcpy_chk, R(call___stpcpy_chk(a, b, n + 1)))
RUN(strncpy_chk, R(call___strncpy_chk(a, b, n, n)))
RUN(strcat_chk, R(call___strcat_chk(a, b, n + 1)))
RUN(strncat_chk, R(call___strncat_chk(a, b, n + 100, n + 1)))
RUN(asan_memcpy, R(call___asan_memcpy(a, b, n)))
RUN(hwasan_memset, R(call___hwasan_memset(a, 'z', n)))
RUN(hwasan_memmove, R(call___hwasan_memmove(a, b, n)))

#define F(name, a, b, ...) { #name, run_##name, a, b, __VA_ARGS__ },
static const struct function functions[] = {
	F(memcpy, n_bytes, n_bytes, true, true) F(memmove, n_bytes, n_bytes, true, true) F(mempcpy, n_bytes, n_bytes, true, true)
	F(bcopy, n_bytes, n_bytes, true, true) F(memccpy_all, n_bytes, n_bytes, true, true)
	F(memccpy_some, n_and_end, n_and_end, true, true) F(memset, n_bytes, none, true, false)
	F(bzero, n_bytes, none, true, false) F(explicit_bzero, n_bytes, none, true, false)
	F(memcmp, n_bytes, n_bytes, false, false) F(bcmp, n_bytes, n_bytes, false, false)
	F(memchr_all, n_bytes, none, false, false) F(memchr_some, n_and_end, none, false, false)
	F(memrchr, n_bytes, none, false, false) F(rawmemchr, n_and_end, none, false, false)
	F(memmem, n_bytes, n_bytes, false, false) F(strlen, n_and_end, none, false, false)
	F(strnlen, n_bytes, none, false, false) F(strnlen_more, n_and_end, none, false, false)
	F(strcpy, n_and_end, n_and_end, true, true) F(stpcpy, n_and_end, n_and_end, true, true)
	F(strncpy_all, n_bytes, n_bytes, true, true) F(strncpy_end, n_and_end, n_and_end, true, true)
	F(stpncpy, n_bytes, n_bytes, true, true) F(strcmp, n_and_end, n_and_end, false, false)
	F(strncmp, n_bytes, n_bytes, false, false) F(strncmp_more, n_and_end, n_and_end, false, false)
	F(strcasecmp, n_and_end, n_and_end, false, false) F(strncasecmp, n_bytes, n_bytes, false, false)
	F(strchr_none, n_and_end, none, false, false) F(strchrnul, n_and_end, none, false, false)
	F(strrchr, n_and_end, none, false, false) F(index, n_and_end, none, false, false)
	F(rindex, n_and_end, none, false, false) F(strstr, n_and_end, n_and_end, false, true)
	F(strspn, n_and_end, none, false, false) F(strcspn, n_and_end, none, false, false)
	F(strpbrk, n_and_end, none, false, false) F(strcspn_set, none, n_and_end, false, true)
	F(strdup, n_and_end, none, false, false) F(strndup, n_bytes, none, false, false)
	F(memcpy_chk, n_bytes, n_bytes, true, true) F(memmove_chk, n_bytes, n_bytes, true, true)
	F(mempcpy_chk, n_bytes, n_bytes, true, true) F(memset_chk, n_bytes, none, true, false)
	F(strcpy_chk, n_and_end, n_and_end, true, true) F(stpcpy_chk, n_and_end, n_and_end, true, true)
	F(strcat, n_and_end, n_and_end, true, true) F(strncat, n_and_end, n_and_end, true, true)
	F(strcat_chk, n_and_end, n_and_end, true, true) F(strncat_chk, n_and_end, n_and_end, true, true)
	F(strncpy_chk, n_bytes, n_bytes, true, true) F(asan_memcpy, n_bytes, n_bytes, true, true)
	F(hwasan_memset, n_bytes, none, true, false) F(hwasan_memmove, n_bytes, n_bytes, true, true)
};

static NOINLINE long fault_in(const struct function *function, char *a, char *b, size_t n) {
	return FAULT_OF(function->run(a, b, n));
}

/* Both end so many bytes behind a granule's end; there the tag of one of them may differ. */
enum { a_end = 4 * page - 160, b_end = 8 * page + 48 };

static void check_at(const struct function *function, size_t n, int bad, long behind) {
	size_t a_size = bytes_of(function->a, n), b_size = bytes_of(function->b, n);
	char *a = memory + a_end + behind - a_size, *b = memory + b_end + behind - b_size;
	static char saved[pages * page];
	for (size_t i = 0; i <= n; i++) a[i] = b[i] = i < n ? 'x' : 0;
	bool appends = strstr(function->name, "cat"); /* behind a string that is empty, but is looked at first */
	if (appends) *a = 0;
	memcpy(saved, memory, sizeof saved);
	long a_bad = a_end, b_bad = b_end, expected = no_fault;
	if (bad & 1) set_tag(a_bad, other_tag);
	if (bad & 2) set_tag(b_bad, other_tag);
	bool a_faults = (bad & 1) && behind > 0 && a_size > 0, b_faults = (bad & 2) && behind > 0 && b_size > 0;
	/* The first byte, where all of it is in the bad granule. */
	long a_where = a - memory > a_bad ? a - memory : a_bad, b_where = b - memory > b_bad ? b - memory : b_bad;
	/* From the end on. */
	if (strcmp(function->name, "memrchr") == 0) a_where = a + a_size - 1 - memory;
	bool b_is_first = function->b_is_first && !(appends && a - memory >= a_bad);
	if (a_faults && b_faults) expected = b_is_first ? b_where : a_where;
	else if (a_faults) expected = a_where;
	else if (b_faults) expected = b_where;
	long where = fault_in(function, a, b, n);
	set_tag(a_bad, tag);
	set_tag(b_bad, tag);
	if (where != expected) {
		printf("%s of %zu, bad %d, %ld bytes: fault at %ld (0x%lx), expected %ld (0x%lx)\n", function->name, n, bad, behind,
		       where, where, expected, expected);
		failures++;
	}
	size_t stored = expected == no_fault && function->stores_to_a ? a_size : 0, start = (size_t)(a - memory);
	if (memcmp(saved, memory, start) || memcmp(saved + start + stored, a + stored, sizeof saved - start - stored)) {
		printf("%s of %zu, bad %d, %ld bytes: others have changed\n", function->name, n, bad, behind);
		failures++;
	}
}

static void extents(void) {
	static const size_t sizes[] = { 0, 1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 100, 300, page, 2 * page + 77 };
	for (size_t i = 0; i < sizeof functions / sizeof *functions && failures < 20; i++) {
		for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
			for (int bad = 0; bad < 4; bad++) {
				check_at(&functions[i], sizes[j], bad, 0);
				check_at(&functions[i], sizes[j], bad, 1);
				check_at(&functions[i], sizes[j], bad, 16);
			}
		}
	}
}

/* What ends a search early leaves the rest alone. */
static void stops(void) {
	char *a = memory + a_end - 8, *b = memory + b_end - 8;
	memcpy(a, "abcdefghijk", 12);
	memcpy(b, "abcdeFghijk", 12);
	set_tag(a_end, other_tag);
	set_tag(b_end, other_tag);
	EXPECT(FAULT_OF(EXPECT(call_strcmp(a, b) > 0, 1)), no_fault);
	EXPECT(FAULT_OF(EXPECT(call_strncmp(a, b, 5), 0)), no_fault);
	EXPECT(FAULT_OF(EXPECT(call_strcasecmp(a, b) > 0, 0)), a_end);
	EXPECT(FAULT_OF(EXPECT(call_strchr(a, 'c') == a + 2, 1)), no_fault);
	EXPECT(FAULT_OF(EXPECT(call_memchr(a, 'h', 100) == a + 7, 1)), no_fault);
	EXPECT(FAULT_OF(R(call_memchr(a, 'i', 100))), a_end);
	EXPECT(FAULT_OF(R(call_memcmp(a, b, 12))), a_end);
	EXPECT(FAULT_OF(EXPECT(call_strcspn(a, "e"), 4)), no_fault);
	EXPECT(FAULT_OF(EXPECT(call_strspn(a, "abc"), 3)), no_fault);
	EXPECT(FAULT_OF(EXPECT(call_memrchr(memory + a_end + 16, 'z', 1) == NULL, 1)), no_fault);
	set_tag(a_end, tag);
	set_tag(b_end, tag);
}

/* A handler that skips the access of the function, and one that mends the tag. */
static volatile int lengths;

static void skip(siginfo_t *info, void *context) {
	(void)info;
	greg_t *counter = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	const unsigned char *code = (const unsigned char *)*counter;
	/* lock orb $0, (r): f0 80 /1 00; testb $0, (r): f6 /0 00; maybe with a prefix. */
	int length = 0;
	if (code[length] == 0xf0) length++;
	if ((code[length] & 0xf0) == 0x40) length++;
	length += 3 + ((code[length + 1] & 7) == 4);
	if ((code[length - 2 - ((code[length - 2] & 7) == 4)] & 0xc0) == 0x40) length++;
	*counter += length;
	lengths++;
}

static void mend(siginfo_t *info, void *context) {
	(void)info, (void)context;
	set_tag(a_end, tag);
	faults++;
}

static void skipped(void) {
	reset();
	char *a = memory + a_end - 40;
	set_tag(a_end, other_tag);
	on_each = skip;
	EXPECT(FAULT_OF(call_memset(a, 'q', 100)), no_fault);
	EXPECT(lengths, 1);
	EXPECT(a[39], 'q');
	set_tag(a_end, tag);
	EXPECT(a[40], pattern_at(a_end));
	EXPECT(a[56], pattern_at(a_end + 16));
	set_tag(a_end, other_tag);
	EXPECT(FAULT_OF(EXPECT(call_strnlen(a, 100), 40)), no_fault);
	EXPECT(lengths, 2);
	on_each = mend;
	faults = 0;
	EXPECT(FAULT_OF(call_memset(a, 'r', 100)), no_fault);
	EXPECT(faults > 0, 1);
	EXPECT(a[40] == 'r' && a[99] == 'r' && a[0] == 'r', 1);
	EXPECT(a[100], pattern_at(a_end + 60));
	on_each = NULL;
}

/* MARK: What they do, against the plainest way to do it */

static unsigned next_random(unsigned limit) {
	static unsigned long state = 7;
	state = state * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(state >> 33) % limit;
}

static int sign(int value) { return (value > 0) - (value < 0); }

static void compare_with_plain(char *buffer, int rounds) {
	enum { size = 700 };
	unsigned char *x = (unsigned char *)buffer, plain[size];
	for (int round = 0; round < rounds && failures < 20; round++) {
		unsigned letters = 2 + next_random(4);
		for (int i = 0; i < size; i++) x[i] = plain[i] = next_random(40) ? (unsigned char)('a' + next_random(letters)) : 0;
		x[size - 1] = plain[size - 1] = 0;
		size_t p = next_random(size / 2), q = next_random(size / 2), n = next_random(next_random(2) ? 20 : size / 2);
		char *s = buffer + p, *t = buffer + q;
		const char *u = (const char *)plain + p, *v = (const char *)plain + q;
		size_t length = 0, other = 0, common = 0;
		while (u[length]) length++;
		while (v[other]) other++;
		EXPECT(call_strlen(s), length);
		EXPECT(call_strnlen(s, n), length < n ? length : n);
		while (common < n && plain[p + common] == plain[q + common]) common++;
		int order = common == n ? 0 : sign(plain[p + common] - plain[q + common]);
		EXPECT(sign(call_memcmp(s, t, n)), order);
		EXPECT(call_bcmp(s, t, n) != 0, order != 0);
		common = 0;
		while (u[common] && u[common] == v[common]) common++;
		EXPECT(sign(call_strcmp(s, t)), sign((unsigned char)u[common] - (unsigned char)v[common]));
		EXPECT(sign(call_strncmp(s, t, n)), common >= n ? 0 : sign((unsigned char)u[common] - (unsigned char)v[common]));
		char letter = (char)('a' + next_random(letters + 1));
		long first = -1, last = -1, in_memory = -1, last_in_memory = -1;
		for (size_t i = 0; i <= length; i++) if (u[i] == letter) last = (long)i, first = first < 0 ? (long)i : first;
		for (size_t i = 0; i < n; i++) if (u[i] == letter) last_in_memory = (long)i, in_memory = in_memory < 0 ? (long)i : in_memory;
		EXPECT(call_strchr(s, letter), first < 0 ? 0 : (long)(s + first));
		EXPECT(call_strchrnul(s, letter), (long)(s + (first < 0 ? (long)length : first)));
		EXPECT(call_strrchr(s, letter), last < 0 ? 0 : (long)(s + last));
		EXPECT(call_strchr(s, 0), (long)(s + length));
		EXPECT(call_strrchr(s, 0), (long)(s + length));
		EXPECT(call_memchr(s, letter, n), in_memory < 0 ? 0 : (long)(s + in_memory));
		EXPECT(call_memrchr(s, letter, n), last_in_memory < 0 ? 0 : (long)(s + last_in_memory));
		size_t m = next_random(6);
		long found = -1;
		for (size_t i = 0; i + m <= n && found < 0; i++) {
			size_t k = 0;
			while (k < m && u[i + k] == v[k]) k++;
			if (k == m) found = (long)i;
		}
		EXPECT(call_memmem(s, n, t, m), found < 0 ? 0 : (long)(s + found));
		found = -1;
		for (size_t i = 0; i + other <= length && found < 0; i++) {
			size_t k = 0;
			while (k < other && u[i + k] == v[k]) k++;
			if (k == other) found = (long)i;
		}
		EXPECT(call_strstr(s, t), found < 0 ? 0 : (long)(s + found));
		size_t in_set = 0, not_in_set = 0;
		while (u[in_set] == 'a' || u[in_set] == 'b') in_set++;
		while (u[not_in_set] && u[not_in_set] != 'a' && u[not_in_set] != 'c') not_in_set++;
		EXPECT(call_strspn(s, "ba"), in_set);
		EXPECT(call_strcspn(s, "ca"), not_in_set);
		EXPECT(call_strpbrk(s, "ca"), u[not_in_set] ? (long)(s + not_in_set) : 0);
		/* Stores: one of them, then all bytes are compared. */
		switch (next_random(8)) {
		case 0:
			EXPECT(call_memmove(s, t, n) == s, 1);
			if (p < q) for (size_t i = 0; i < n; i++) plain[p + i] = plain[q + i];
			else for (size_t i = n; i-- > 0;) plain[p + i] = plain[q + i];
			break;
		case 1:
			EXPECT(call_memset(s, letter, n) == s, 1);
			for (size_t i = 0; i < n; i++) plain[p + i] = (unsigned char)letter;
			break;
		case 2:
			if (p + n > q && q + n > p) break;
			EXPECT(call_mempcpy(s, t, n) == s + n, 1);
			for (size_t i = 0; i < n; i++) plain[p + i] = plain[q + i];
			break;
		case 3:
			if (p + other + 1 > q && q + other + 1 > p) break;
			EXPECT(call_stpcpy(s, t) == s + other, 1);
			for (size_t i = 0; i <= other; i++) plain[p + i] = plain[q + i];
			break;
		case 4:
			if (p + n > q && q + n > p) break;
			EXPECT(call_stpncpy(s, t, n) == s + (other < n ? other : n), 1);
			for (size_t i = 0; i < n; i++) plain[p + i] = i < other ? plain[q + i] : 0;
			break;
		case 5:
			if (p + length + n + 1 > q && q + other + 1 > p) break;
			EXPECT(call_strncat(s, t, n) == s, 1);
			for (size_t i = 0; i < n && i < other; i++) plain[p + length + i] = plain[q + i];
			plain[p + length + (n < other ? n : other)] = 0;
			break;
		case 6: {
			if (p + n > q && q + n > p) break;
			size_t to = 0;
			while (to < n && v[to] != letter) to++;
			EXPECT(call_memccpy(s, t, letter, n), to < n ? (long)(s + to + 1) : 0);
			for (size_t i = 0; i < n && i <= to; i++) plain[p + i] = plain[q + i];
			break;
		}
		case 7: {
			char *copy = call_strndup(s, n);
			EXPECT(call_strlen(copy), length < n ? length : n);
			EXPECT(call_memcmp(copy, s, call_strlen(copy)), 0);
			free(copy);
			break;
		}
		}
		for (int i = 0; i < size; i++) {
			if (x[i] == plain[i]) continue;
			printf("round %d, %zu %zu %zu: byte %d is %d, expected %d\n", round, p, q, n, i, x[i], plain[i]);
			failures++;
			break;
		}
	}
	EXPECT(call_strcasecmp("Hello, World", "hELLO, wORLD"), 0);
	EXPECT(call_strcasecmp("Hellp", "hELLO") > 0, 1);
	EXPECT(call_strncasecmp("Hellp", "hELLO", 4), 0);
}

/* Sizes that are negative numbers fault where the memory ends, soon. */
static void absurd(void) {
	char *a = memory + 64;
	tagmem_set_tags((char *)tagmem_with_tag(memory, 0), pages * page);
	a = base + 64;
	EXPECT(FAULT_OF(call_memset(a, 1, (size_t)-64)), another_fault);
	EXPECT(fault_address >= base + pages * page && fault_address < base + pages * page + page, 1);
	EXPECT(FAULT_OF(call_memmove(a, a + 8, (size_t)-64)), another_fault);
	EXPECT(FAULT_OF(R(call_memchr(a, 255, SIZE_MAX))), another_fault);
	reset();
}

int main(int count, char **arguments) {
	static char ordinary[1000];
	compare_with_plain(ordinary, 20000);
	attach(count, arguments);
	catch_faults();
	compare_with_plain(memory + 2 * page - 300, 5000);
	reset();
	extents();
	stops();
	skipped();
	absurd();
	EXPECT(tagmem_detach(base), 0);
	return failures != 0;
}
