/* Each instruction of the table on open memory and on closed memory, with the same random state: all registers, flags, the
 * extended state, memory, and signals of the instruction's own must be the same. So must they with pointers that have a tag
 * in bits 59:56. */
#include "machine.h"

#include <sys/mman.h>

static char before[alias_size], native[alias_size];
static uint64_t outside[512], outside_before[512];
static long traps[2000];
static struct machine initial, expected, actual;

static void fill_memory(void) {
	for (size_t at = 0; at < alias_size; at += 8) {
		uint64_t value = random_number();
		switch (random_below(4)) {
		case 0: value = random_below(256); break;
		case 1: value = 0x3ff0000000000000 + random_below((uint64_t)1 << 55); break;
		}
		memcpy(plain + at, &value, 8);
	}
}

/* Near the middle, at any distance from granules, lines and pages. */
static uintptr_t random_place(size_t page, bool is_aligned) {
	uintptr_t at = (uintptr_t)alias + page * 4096;
	switch (random_below(3)) {
	case 0: at += random_below(4096); break;
	case 1: at -= random_below(80); break;
	default: at += random_below(4096) & ~(uint64_t)63; break;
	}
	return is_aligned ? at & ~(uintptr_t)63 : at;
}

static bool is_pointer(uint64_t value) { return value - (uintptr_t)alias + 65536 < alias_size + 131072; }

static void tag(struct machine *machine, uint64_t bits) {
	for (int i = 0; i < 16; i++) {
		machine->gpr[i] |= is_pointer(machine->gpr[i]) ? bits << 56 : 0;
	}
}

static void try_with_tag(const struct instruction *instruction) {
	uint64_t bits = 1 + random_below(15);
	memcpy(plain, before, alias_size);
	actual = initial;
	tag(&actual, bits);
	machine_try(&actual, instruction, false);
	for (int i = 0; i < 16; i++) { /* what the pointers became has the tag as well */
		if (is_pointer(actual.gpr[i] & ~(uint64_t)0 >> 8) && actual.gpr[i] >> 56 == bits) {
			actual.gpr[i] &= ~(uint64_t)0 >> 8;
		}
	}
	machine_is_same(&expected, &actual, "tagged", instruction->text);
	if (instruction->kind != stack_instruction && strchr(instruction->text, ',') == NULL) {
		CHECK(memcmp(native, plain, alias_size) == 0, "memory of %s, tagged", instruction->text);
	}
}

static void try(const struct instruction *instruction) {
	bool is_state = instruction->kind == state_instruction;
	uintptr_t address = random_place(6 + random_below(4), is_state), other = random_place(14 + random_below(4), false);
	int failed = failures;
	machine_random(&initial, instruction->kind, address, other);
	memcpy(before, plain, alias_size);
	memcpy(outside_before, machine_outside, sizeof outside);

	alias_protect(PROT_READ | PROT_WRITE);
	expected = initial;
	machine_try(&expected, instruction, true);
	memcpy(native, plain, alias_size);
	memcpy(outside, machine_outside, sizeof outside);
	if (expected.outcome == SIGILL) {
		traps[instruction - instructions] = -1;
		memcpy(plain, before, alias_size);
		return;
	}
	memcpy(plain, before, alias_size);
	memcpy(machine_outside, outside_before, sizeof outside);
	alias_protect(PROT_NONE);
	actual = initial;
	machine_try(&actual, instruction, false);
	machine_is_same(&expected, &actual, "closed", instruction->text);
	CHECK(memcmp(native, plain, alias_size) == 0, "memory of %s", instruction->text);
	CHECK(memcmp(outside, machine_outside, sizeof outside) == 0, "other memory of %s", instruction->text);
	traps[instruction - instructions] += alias_traps;
	if (instruction->kind == no_access_instruction) {
		CHECK(alias_call_count == 0, "%s was judged", instruction->text);
	}
	try_with_tag(instruction);
	memcpy(plain, before, alias_size);
	if (failures > failed && failures < 40) {
		printf("  rdi %#lx rsi %#lx alias %p\n", initial.gpr[7], initial.gpr[6], alias);
	}
}

int main(int argc, char **argv) {
	int rounds = argc > 2 ? atoi(argv[2]) : 10;
	random_seed(argc, argv);
	alias_map();
	alias_handle_signals();
	for (int round = 0; round < rounds; round++) {
		fill_memory();
		tagmem_goes_ahead = round % 2 == 0;
		for (const struct instruction *instruction = instructions; instruction < instructions_end; instruction++) {
			try(instruction);
		}
	}
	for (const struct instruction *instruction = instructions; instruction < instructions_end; instruction++) {
		bool may_be_none = instruction->kind == no_access_instruction || rounds < 10;
		CHECK(may_be_none || traps[instruction - instructions] != 0, "%s never trapped", instruction->text);
	}
	return finish();
}
