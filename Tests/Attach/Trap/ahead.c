/* What is done in the same trap as the refused instruction: many accesses a signal, and nothing of the handler is touched. */
#include "alias.h"

#include <errno.h>
#include <sys/mman.h>

enum { loads = 20000 };

static long sum_of(const volatile long *numbers, int count) {
	long sum = 0;
	for (int i = 0; i < count; i++) {
		sum += numbers[i % 512];
	}
	return sum;
}

static void many_at_once(void) {
	long expected = sum_of((long *)plain, loads), traps = alias_traps;
	CHECK(sum_of((long *)alias, loads) == expected, "the sum");
	CHECK(alias_traps - traps < loads / 20, "%ld traps for %d loads", alias_traps - traps, loads);
	traps = alias_traps;
	CHECK(sum_of((long *)((uintptr_t)alias | (uintptr_t)3 << 56), loads) == expected, "the sum, tagged");
	CHECK(alias_traps - traps < loads / 20, "%ld traps for %d loads, tagged", alias_traps - traps, loads);
}

/* The handler saves errno, and restores it. */
static void keeps_errno(void) {
	volatile long *numbers = (long *)alias;
	for (int i = 0; i < 1000; i++) {
		numbers[i % 512] += i;
		errno = i;
		numbers[(i + 3) % 512] ^= i;
		CHECK(errno == i, "errno is %d, expected %d", errno, i);
	}
}

/* Calls deep below the stack pointer of the trap, where the handler's own frames are if it has no stack of its own. */
static __attribute__((noinline)) long deep(volatile long *numbers, int depth) {
	volatile char room[300];
	memset((char *)room, depth, sizeof room);
	long value = numbers[depth] + (depth > 0 ? deep(numbers, depth - 1) : 0);
	for (size_t i = 0; i < sizeof room; i++) {
		CHECK(room[i] == (char)depth, "frame %d", depth);
	}
	return value + numbers[depth];
}

static void calls(void) {
	for (int i = 0; i < 50; i++) {
		long expected = deep((long *)plain, 20);
		CHECK(deep((long *)alias, 20) == expected, "calls");
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
