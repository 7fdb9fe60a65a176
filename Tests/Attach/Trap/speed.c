/* What a trapped access takes, signal included, beside the signal alone. Prints; asserts only that it is not absurd. */
#include "alias.h"

#include <sys/mman.h>
#include <time.h>

static double now(void) {
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); /* other programs are not in it */
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void skip(int number, siginfo_t *info, ucontext_t *context) {
	(void)number;
	(void)info;
	context->uc_mcontext.gregs[REG_RIP] += 2; /* movb (%rdi), %al */
}

enum { count = 20000, rounds = 15 };

static int order(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

#define MEASURE(text, instruction) \
	do { \
		double times[rounds]; \
		for (int round = 0; round < rounds; round++) { \
			double start = now(); \
			for (int i = 0; i < count; i++) { \
				__asm__ volatile(instruction : : "D"(alias), "a"(1), "d"(0) : "memory", "xmm1"); \
			} \
			times[round] = (now() - start) / count; \
		} \
		qsort(times, rounds, sizeof *times, order); \
		printf("%-24s %6.0f ns (least %.0f)\n", text, times[rounds / 2], times[0]); \
		CHECK(times[0] < 50000, "%s", text); \
	} while (0)

int main(void) {
	alias_map();
	alias_protect(PROT_NONE);
	alias_handle_signals();
	alias_not_done = skip;
	alias_is_native = true;
	MEASURE("the signal alone", "movb (%%rdi), %%al");
	alias_is_native = false;
	alias_not_done = NULL;
	for (int i = 0; i < 2; i++) {
		tagmem_goes_ahead = i == 1;
		printf("%s:\n", i == 0 ? "one access a signal" : "a loop of accesses");
		MEASURE("movb (%rdi), %al", "movb (%%rdi), %%al");
		MEASURE("movq %rax, (%rdi)", "movq %%rax, (%%rdi)");
		MEASURE("lock xaddq %rax, (%rdi)", "lock xaddq %%rax, (%%rdi)");
		MEASURE("vmovdqu (%rdi), %ymm1", "vmovdqu (%%rdi), %%ymm1");
		MEASURE("flds (%rdi)", "flds (%%rdi)\nfstp %%st(0)");
	}
	return finish();
}
