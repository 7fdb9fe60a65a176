/* What is done in the same trap as the refused instruction: many accesses a signal, and nothing of the handler is touched. */
#include "alias.h"

#include <errno.h>
#include <sys/mman.h>

enum { loads = 20000 };

static uint64_t sum_of(const volatile uint64_t *numbers, int count) {
	uint64_t sum = 0;
	for (int i = 0; i < count; i++) {
		sum += numbers[i % 512];
	}
	return sum;
}

static void many_at_once(void) {
	uint64_t expected = sum_of((uint64_t *)plain, loads);
	long traps = alias_traps;
	CHECK(sum_of((uint64_t *)alias, loads) == expected, "the sum");
	CHECK(alias_traps - traps < loads / 20, "%ld traps for %d loads", alias_traps - traps, loads);
	traps = alias_traps;
	CHECK(sum_of((uint64_t *)((uintptr_t)alias | (uintptr_t)3 << 56), loads) == expected, "the sum, tagged");
	CHECK(alias_traps - traps < loads / 20, "%ld traps for %d loads, tagged", alias_traps - traps, loads);
}

/* The handler saves errno, and restores it. */
static void keeps_errno(void) {
	volatile uint64_t *numbers = (uint64_t *)alias;
	unsigned random = 1;
	for (int i = 0; i < 1000; i++) {
		random = random * 1103515245 + 12345;
		for (unsigned j = 0; j < (random >> 16 & 3); j++) { /* so that it ends anywhere */
			__asm__ volatile("nop");
		}
		numbers[i % 512] += (uint64_t)i;
		*(volatile int *)&errno = i;
		numbers[(i + 3) % 512] ^= (uint64_t)i;
		CHECK(*(volatile int *)&errno == i, "errno is %d, expected %d", errno, i);
	}
}

/* Calls deep below the stack pointer of the trap, where the handler's own frames are if it has no stack of its own. */
static __attribute__((noinline)) uint64_t deep(volatile uint64_t *numbers, int depth) {
	volatile uint64_t room[24];
	room[0] = room[7] = room[15] = room[23] = numbers[depth];
	uint64_t below = depth > 0 ? deep(numbers, depth - 1) : 0;
	return below * 3 + room[0] + room[7] * 5 + room[15] * 7 + room[23] * 9 + numbers[depth];
}

static void calls(void) {
	for (int i = 0; i < 50; i++) {
		uint64_t expected = deep((uint64_t *)plain, 20);
		CHECK(deep((uint64_t *)alias, 20) == expected, "calls");
	}
}

/* A fault is where it is, however the program came there. */
static uintptr_t fault_pc;
static sigjmp_buf fault;

static void stop(int number, siginfo_t *info, ucontext_t *context) {
	(void)number;
	(void)info;
	fault_pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	siglongjmp(fault, 1);
}

static void faults(void) {
	extern const char load_of_loop[];
	memset(alias_is_bad, 0, sizeof alias_is_bad);
	alias_is_bad[100] = true;
	volatile long last = -1;
	alias_not_done = stop;
	if (sigsetjmp(fault, 1) == 0) {
		for (long i = 0; i < 400; i++) {
			long value;
			last = i;
			__asm__ volatile(".globl load_of_loop\nload_of_loop: movq (%1), %0" : "=r"(value) : "r"(alias + 8 * i) : "memory");
			*(volatile long *)(alias + 4096 + 8 * i) = value;
		}
	}
	CHECK(last == 200, "stopped at %ld", last);
	CHECK(fault_pc == (uintptr_t)load_of_loop, "pc %#lx, expected %p", fault_pc, (const void *)load_of_loop);
	CHECK(alias_result.judgement.address == (uintptr_t)alias + 1600, "%#lx", alias_result.judgement.address);
	CHECK(memcmp(plain + 4096, plain, 1600) == 0, "what was before it is done");
	/* An asynchronous one is told as well. */
	alias_load_fault = TAGMEM_ALLOWED_DEFERRED;
	bool has_deferred = false;
	for (long i = 0; i < 400; i++) {
		(void)*(volatile long *)(alias + 8 * i);
		__asm__ volatile("" : : : "memory");
		has_deferred |= alias_result.has_deferred_fault;
	}
	CHECK(has_deferred, "a deferred fault in a loop");
	alias_load_fault = TAGMEM_TAG_FAULT;
	alias_not_done = NULL;
	memset(alias_is_bad, 0, sizeof alias_is_bad);
}

/* Where nothing is gained it is given up: a loop with much between its accesses. */
static void not_in_vain(void) {
	long traps = alias_traps;
	volatile double x = 2;
	for (int i = 0; i < 300; i++) {
		(void)*(volatile long *)alias;
		for (int j = 0; j < 200; j++) {
			x = x * 1.0001;
		}
	}
	CHECK(alias_traps - traps == 300, "%ld traps", alias_traps - traps);
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	alias_map();
	alias_handle_signals();
	for (size_t at = 0; at < alias_size; at += 8) {
		uint64_t value = random_number();
		memcpy(plain + at, &value, 8);
	}
	alias_protect(PROT_NONE);
	for (int i = 0; i < 2; i++) {
		many_at_once();
		keeps_errno();
		calls();
		faults();
		not_in_vain();
		/* And again with the handler on the program's stack. */
		struct sigaction action;
		sigaction(SIGSEGV, NULL, &action);
		action.sa_flags &= ~SA_ONSTACK;
		sigaction(SIGSEGV, &action, NULL);
	}
	return finish();
}
