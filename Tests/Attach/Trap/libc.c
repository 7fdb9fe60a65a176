/* libc's functions on closed memory. Those with vectors read whole vectors, and so past the end of a string, within a page:
 * what is checked are exactly the bytes that an instruction reads, so a bad granule that the vector touches is a fault,
 * although the string ends before it. (Instrumented programs call functions that check the string alone.) */
#include "alias.h"

#include <sys/mman.h>

static sigjmp_buf fault;

static void stop(int number, siginfo_t *info, ucontext_t *context) {
	(void)number;
	(void)info;
	(void)context;
	siglongjmp(fault, 1);
}

/* The functions, not what the compiler makes of them. */
static size_t (*volatile strlen_)(const char *) = strlen;
static void *(*volatile memcpy_)(void *, const void *, size_t) = memcpy;
static void *(*volatile memmove_)(void *, const void *, size_t) = memmove;
static void *(*volatile memset_)(void *, int, size_t) = memset;
static int (*volatile memcmp_)(const void *, const void *, size_t) = memcmp;
static int (*volatile strcmp_)(const char *, const char *) = strcmp;
static void *(*volatile memchr_)(const void *, int, size_t) = (void *(*)(const void *, int, size_t))memchr;
static char *(*volatile strchr_)(const char *, int) = (char *(*)(const char *, int))strchr;
static char *(*volatile strcpy_)(char *, const char *) = strcpy;

static void all_lengths(void) {
	char *end = alias + 8 * 4096, *plain_end = plain + 8 * 4096; /* a page that nothing may touch is behind it */
	for (size_t page = 8 * 256; page < 9 * 256; page++) {
		alias_is_bad[page] = true;
	}
	for (size_t length = 0; length < 300; length++) {
		memset(plain, 0, alias_size);
		memset(plain_end - length - 1, 'x', length);
		char *text = end - length - 1, *other = alias + 4096 + length % 67;
		CHECK(strlen_(text) == length, "strlen %zu", length);
		CHECK(memchr_(text, 0, length + 1) == end - 1, "memchr %zu", length);
		CHECK(strchr_(text, 'y') == NULL, "strchr %zu", length);
		CHECK(strcpy_(other, text) == other && memcmp(plain + (other - alias), plain_end - length - 1, length + 1) == 0,
		    "strcpy %zu", length);
		CHECK(strcmp_(text, other) == 0 && memcmp_(text, other, length + 1) == 0, "strcmp %zu", length);
		memset_(other, 'z', length);
		CHECK(strcmp_(text, other) < 0 || length == 0, "strcmp %zu", length);
		memcpy_(other, text, length + 1);
		memmove_(text - 5, text, length + 1);
		CHECK(memcmp(plain_end - length - 6, plain + (other - alias), length + 1) == 0, "memmove %zu", length);
	}
	/* Large enough for rep movsb and for loops of non-temporal stores. */
	for (size_t at = 0; at < 12 * 4096; at++) {
		plain[at] = (char)(at % 251);
	}
	memset(alias_is_bad, 0, sizeof alias_is_bad);
	memcpy_(alias + 12 * 4096 + 3, alias + 1, 11 * 4096);
	CHECK(memcmp(plain + 12 * 4096 + 3, plain + 1, 11 * 4096) == 0, "memcpy of pages");
	memmove_(alias + 7, alias, 11 * 4096);
	CHECK(plain[7 + 5000] == (char)(5000 % 251) && plain[7 + 11 * 4096 - 1] == (char)((11 * 4096 - 1) % 251), "memmove");
	memset_(alias + 1, 9, 11 * 4096);
	CHECK(plain[1] == 9 && plain[11 * 4096] == 9 && plain[11 * 4096 + 1] != 9, "memset of pages");
}

static void past_the_end(void) {
	memset(plain, 0, alias_size);
	memset(alias_is_bad, 0, sizeof alias_is_bad);
	alias_is_bad[1] = true;
	strcpy(plain, "short");
	bool faulted = sigsetjmp(fault, 1) != 0;
	if (!faulted) {
		CHECK(strlen_(alias) == 5, "strlen");
	}
	bool is_wide = __builtin_cpu_supports("avx2");
	CHECK(faulted == is_wide, "strlen of 5 bytes with vectors of 32 beside a bad granule: fault %d", faulted);
	CHECK(!faulted || alias_result.judgement.address == (uintptr_t)alias + 16, "%#lx", alias_result.judgement.address);
}

int main(void) {
	alias_map();
	alias_handle_signals();
	alias_not_done = stop;
	alias_protect(PROT_NONE);
	for (int i = 0; i < 2; i++) {
		tagmem_goes_ahead = i == 1;
		if (sigsetjmp(fault, 1) == 0) {
			all_lengths();
		} else {
			CHECK(false, "trap %d at %#lx: %s", alias_result.trap, alias_result.judgement.address, alias_result.text);
		}
		past_the_end();
	}
	return finish();
}
