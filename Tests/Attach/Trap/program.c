/* Compiled code (work.c, by several compilers, for several processors) computes the same on closed memory as on open memory,
 * also if its stack is closed, and with tags in bits 59:56 of its pointers. libc's functions are among it: their vectors read
 * past the ends of strings, within aligned blocks; what is checked are the bytes that each instruction reads. */
#include "alias.h"
#include "work.h"

#include <sys/mman.h>
#include <ucontext.h>

enum { data = 64 << 10, stack_size = alias_size - data };

static char expected[data];
static ucontext_t outside, inside;
static uint64_t result;
static char *argument;

static void on_stack(void) {
	result = work(argument);
}

static uint64_t run_on(char *memory, char *stack) {
	argument = memory;
	getcontext(&inside);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = stack_size;
	inside.uc_link = &outside;
	makecontext(&inside, on_stack, 0);
	swapcontext(&outside, &inside);
	return result;
}

static void check(const char *what, uint64_t got, uint64_t wanted, long traps) {
	CHECK(got == wanted, "%s: %#lx, expected %#lx", what, got, wanted);
	CHECK(alias_traps - traps > 1000 || tagmem_goes_ahead, "%s: %ld traps", what, alias_traps - traps);
	for (int i = 0; i < data; i++) {
		/* Pointers differ, and nothing else. */
		if (plain[i] != expected[i] && what[0] != 't') {
			CHECK(plain[i] == expected[i], "%s: byte %d", what, i);
			break;
		}
	}
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	alias_map();
	alias_handle_signals();
	memset(plain, 0, alias_size);
	uint64_t wanted = work(alias);
	memcpy(expected, plain, data);
	alias_protect(PROT_NONE);
	for (int i = 0; i < 2; i++) {
		tagmem_goes_ahead = i == 1;
		long traps = alias_traps;
		memset(plain, 0, alias_size);
		check("closed memory", work(alias), wanted, traps);
		traps = alias_traps;
		memset(plain, 0, alias_size);
		check("closed stack", run_on(alias, alias + data), wanted, traps);
		traps = alias_traps;
		memset(plain, 0, alias_size);
		check("tagged pointers", work((char *)((uintptr_t)alias | (uintptr_t)9 << 56)), wanted, traps);
	}
	if (argc > 2) {
		printf("%ld traps\n", alias_traps);
	}
	return finish();
}
