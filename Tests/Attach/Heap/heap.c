/*
 * The heap of Examples/mte-heap: blocks keep what is stored to them whatever others do, tags are as promised, and bugs are
 * caught. Built for x86-64 in each way that it runs there, and for AArch64: without an argument. It prints what failed.
 */
#include "../../../Examples/mte-heap/heap.h"

#include <arm_acle.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SEGV_MTESERR
#define SEGV_MTESERR 9
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

static int failures;

#define EXPECT(actual, expected) expect(__LINE__, #actual, (long)(actual), (long)(expected))

static void expect(int line, const char *what, long actual, long expected) {
	if (actual == expected) return;
	printf("heap.c:%d: %s is %ld, expected %ld\n", line, what, actual, expected);
	failures++;
}

static int tag_of(const void *pointer) { return __builtin_ctzll(__arm_mte_exclude_tag((void *)pointer, 0)); }
static int tag_at(const void *pointer) { return tag_of(__arm_mte_get_tag((void *)pointer)); }

/* MARK: Faults */

enum { no_fault = -1000, another_signal };

static sigjmp_buf before;
static volatile int is_expected, code;
static char *volatile fault;

static void on_fault(int signal, siginfo_t *info, void *context) {
	(void)signal, (void)context;
	code = info->si_code;
	fault = info->si_addr;
	if (!is_expected) {
		printf("heap.c: a fault of the heap itself: code %d at %p\n", code, (void *)fault);
		fflush(stdout);
		_exit(1);
	}
	siglongjmp(before, 1);
}

static volatile char sink;

static void load(char *block, long offset) { sink = block[offset]; }
static void store(char *block, long offset) { ((volatile char *)block)[offset] = 1; }
static void release(char *block, long offset) { heap_free(block + offset); }

/* The offset in the block at which an access faults. */
static long faults(void (*access)(char *, long), char *block, long offset) {
	volatile long result = no_fault;
	if (sigsetjmp(before, 1)) {
		result = code == SEGV_MTESERR ? __arm_mte_ptrdiff(fault, block) : another_signal;
	} else {
		is_expected = 1;
		access(block, offset);
	}
	is_expected = 0;
	return result;
}

static long load_faults(char *block, long offset) { return faults(load, block, offset); }
static long store_faults(char *block, long offset) { return faults(store, block, offset); }
static long free_faults(char *block) { return faults(release, block, 0); }

static void bugs(void) {
	char *a = heap_malloc(32), *b = heap_malloc(32), *c = heap_malloc(32);
	EXPECT(load_faults(b, 31), no_fault);
	EXPECT(load_faults(b, 32), 32);
	EXPECT(store_faults(b, 32), 32);
	EXPECT(load_faults(b, -1), -1);
	EXPECT(load_faults(b, 48), 48);
	EXPECT(load_faults(b, -33), -33);
	char *wild = __arm_mte_create_random_tag(b, 0xffff);
	EXPECT(tag_of(wild), 0);
	EXPECT(load_faults(wild, 7), 7);
	EXPECT(free_faults(wild), 0);
	heap_free(b);
	EXPECT(load_faults(b, 0), 0);
	EXPECT(store_faults(b, 31), 31);
	EXPECT(free_faults(b), 0);
	char *again = heap_malloc(32);
	EXPECT(__arm_mte_ptrdiff(again, b), 0);
	EXPECT(load_faults(b, 3), 3);
	EXPECT(load_faults(again, 3), no_fault);
	heap_free(a);
	heap_free(c);
	heap_free(again);
	/* One granule more than was asked for is no part of the block. */
	char *x = heap_malloc(64), *y = heap_malloc(16);
	heap_free(x);
	x = heap_malloc(48);
	EXPECT(heap_usable_size(x), 48);
	EXPECT(load_faults(x, 47), no_fault);
	EXPECT(load_faults(x, 48), 48);
	heap_free(x);
	heap_free(y);
}

/* MARK: realloc */

static void reallocations(void) {
	for (size_t kept = 16; kept <= 256; kept += 16) {
		char *block = heap_malloc(272), *behind = heap_malloc(16);
		memset(block, 'x', 272);
		EXPECT(heap_realloc(block, kept - 3) == block, 1);
		EXPECT(heap_usable_size(block), kept);
		EXPECT(block[kept - 4], 'x');
		EXPECT(block[kept - 3] | block[kept - 1], 0);
		EXPECT(load_faults(block, (long)kept), kept);
		for (size_t at = kept; at < 272; at += 16) {
			EXPECT(tag_at(block + at) != tag_of(block), 1);
			if (at > kept + 32) EXPECT(*(char *)__arm_mte_get_tag(block + at), 0);
		}
		heap_free(behind);
		heap_free(block);
	}
	char *block = heap_malloc(100);
	memset(block, 'y', 112);
	errno = 0;
	EXPECT(heap_realloc(block, (size_t)1 << 40) == NULL, 1);
	EXPECT(errno, ENOMEM);
	EXPECT(heap_realloc(block, SIZE_MAX) == NULL, 1);
	EXPECT(block[0] == 'y' && block[111] == 'y', 1);
	EXPECT(heap_usable_size(block), 112);
	char *larger = heap_realloc(block, 4000);
	EXPECT(larger[0] == 'y' && larger[111] == 'y', 1);
	EXPECT(load_faults(block, 0), 0);
	heap_free(larger);
	EXPECT(heap_calloc(SIZE_MAX / 2, 4) == NULL, 1);
	EXPECT(heap_aligned_alloc(24, 8) == NULL, 1);
	heap_free(heap_realloc(NULL, 5));
}

/* MARK: Many at random */

enum { many = 200 };

static struct {
	unsigned char *block;
	size_t size;
	unsigned char byte;
} live[many];

static unsigned next_random(unsigned limit) {
	static unsigned long state = 1;
	state = state * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(state >> 33) % limit;
}

static void check(int i, size_t size) {
	for (size_t at = 0; at < size; at++) {
		if (live[i].block[at] != live[i].byte) {
			EXPECT(live[i].block[at], live[i].byte);
			return;
		}
	}
}

static void fill(int i, size_t size) {
	live[i].size = size;
	live[i].byte = (unsigned char)next_random(256);
	memset(live[i].block, live[i].byte, size);
	int tag = tag_of(live[i].block);
	EXPECT(tag != 0, 1);
	EXPECT(heap_usable_size(live[i].block), size ? (size + 15) & ~15ul : 16);
	for (size_t at = 0; at < size; at += 16) EXPECT(tag_at(live[i].block + at), tag);
	EXPECT(tag_at(live[i].block - 16) != tag, 1);
	EXPECT(tag_at(live[i].block + heap_usable_size(live[i].block)) != tag, 1);
}

static void churn(int steps) {
	for (int step = 0; step < steps && !failures; step++) {
		int i = (int)next_random(many);
		size_t size = next_random(8) ? next_random(300) : next_random(20000);
		if (!live[i].block) {
			size_t alignment = next_random(4) ? 16 : (size_t)16 << next_random(7);
			live[i].block = alignment > 16 ? heap_aligned_alloc(alignment, size) : heap_malloc(size);
			EXPECT(live[i].block != NULL, 1);
			if (!live[i].block) return;
			EXPECT((uintptr_t)live[i].block % alignment, 0);
			fill(i, size);
			continue;
		}
		check(i, live[i].size);
		if (next_random(3)) {
			heap_free(live[i].block);
			live[i].block = NULL;
		} else {
			size_t old = live[i].size;
			live[i].block = heap_realloc(live[i].block, size);
			EXPECT(live[i].block != NULL, 1);
			check(i, old < size ? old : size);
			fill(i, size);
		}
	}
	for (int i = 0; i < many; i++) {
		heap_free(live[i].block);
		live[i].block = NULL;
	}
}

#ifndef ROUNDS
#define ROUNDS 20000
#endif

int main(int count, char **arguments) {
	alarm(120);
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_EXPOSE_TAGBITS };
	sigaction(SIGSEGV, &action, NULL);
	bugs();
	reallocations();
	churn(count > 1 ? atoi(arguments[1]) : ROUNDS);
	bugs();
	/* The heap grows, and does not grow too far. */
	for (size_t size = 1 << 20; size <= 64 << 20; size *= 4) {
		char *large = heap_malloc(size);
		EXPECT(large != NULL, 1);
		if (large) large[size - 1] = 1;
		heap_free(large);
	}
	EXPECT(heap_malloc((size_t)250 << 20) == NULL, 1);
	return failures != 0;
}
