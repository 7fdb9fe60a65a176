/* Divisions at the limits of what has a quotient, beside the processor's own. */
#include "machine.h"

#include <sys/mman.h>

#define SNIPPET(name, ...) \
	__asm__(".text\n" #name ": " #__VA_ARGS__ "\n jmp machine_after"); \
	extern const char name[]

SNIPPET(div_1, divb (%rdi));
SNIPPET(div_2, divw (%rdi));
SNIPPET(div_4, divl (%rdi));
SNIPPET(div_8, divq (%rdi));
SNIPPET(idiv_1, idivb (%rdi));
SNIPPET(idiv_2, idivw (%rdi));
SNIPPET(idiv_4, idivl (%rdi));
SNIPPET(idiv_8, idivq (%rdi));

static const struct {
	const char *text, *start;
	int size;
	bool is_signed;
} divisions[] = {{"divb", div_1, 1, false}, {"divw", div_2, 2, false}, {"divl", div_4, 4, false}, {"divq", div_8, 8, false},
    {"idivb", idiv_1, 1, true}, {"idivw", idiv_2, 2, true}, {"idivl", idiv_4, 4, true}, {"idivq", idiv_8, 8, true}};

static struct machine before, native, trapped;

/* A dividend near a multiple of the divisor with a quotient near a limit. */
static void choose(int size, bool is_signed, __int128 *dividend, int64_t *divisor) {
	int bits = 8 * size;
	uint64_t random = random_number();
	*divisor = (int64_t)(random_below(3) ? random_below(5) - 2 : random >> random_below((uint64_t)bits));
	if (is_signed) {
		*divisor = (int64_t)((uint64_t)*divisor << (64 - bits)) >> (64 - bits);
	} else if (bits < 64) {
		*divisor &= ((int64_t)1 << bits) - 1;
	}
	__int128 limit = (__int128)1 << (is_signed ? bits - 1 : bits), quotient = limit + (int)random_below(5) - 2;
	if (is_signed && random_below(2)) {
		quotient = -quotient;
	}
	*dividend = quotient * (is_signed ? (__int128)*divisor : (__int128)(uint64_t)*divisor) + (int)random_below(5) - 2;
}

static void try(int i) {
	struct instruction instruction = {.text = divisions[i].text, .start = divisions[i].start};
	uintptr_t address = (uintptr_t)alias + 4096 - 4 + random_below(8);
	__int128 dividend;
	int64_t divisor;
	int bits = 8 * divisions[i].size;
	choose(divisions[i].size, divisions[i].is_signed, &dividend, &divisor);
	machine_random(&before, plain_instruction, address, address);
	memcpy(plain + (address - (uintptr_t)alias), &divisor, 8);
	before.gpr[0] = (uint64_t)dividend;
	before.gpr[2] = bits < 64 ? (uint64_t)(dividend >> bits) : (uint64_t)(dividend >> 64);
	alias_protect(PROT_READ | PROT_WRITE);
	native = before;
	machine_try(&native, &instruction, true);
	alias_protect(PROT_NONE);
	trapped = before;
	machine_try(&trapped, &instruction, false);
	machine_is_same(&native, &trapped, "division", divisions[i].text);
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	alias_map();
	alias_handle_signals();
	alias_is_told_sigfpe = false; /* as that of a program that has none of the library's */
	for (int round = 0; round < 600; round++) {
		for (int i = 0; i < 8; i++) {
			try(i);
		}
	}
	return finish();
}
