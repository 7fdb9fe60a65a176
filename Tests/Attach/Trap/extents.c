/* The bytes that are judged are the bytes that are accessed: the processor tells which they are. Each instruction of the
 * table is run beside a page that is closed, at each distance from it: it faults there just if what is judged touches it. */
#include "machine.h"

#include <sys/mman.h>

enum { edge = 12 * 4096, reach = 110 };

static struct machine initial, native, trapped;
static char memory[alias_size];
static struct alias_call calls[alias_calls_max];

/* xsave of what is in its first state writes less; clflush is refused, and accesses nothing. */
static bool is_left_out(const struct instruction *instruction) {
	return strncmp(instruction->text, "xsave", 5) == 0 || strncmp(instruction->text, "clflush", 7) == 0 ||
	    strncmp(instruction->text, "clwb", 4) == 0;
}

static bool touches(uintptr_t from, uintptr_t to) {
	int count = alias_call_count < alias_calls_max ? alias_call_count : alias_calls_max;
	for (int i = 0; i < count; i++) {
		if (calls[i].address < to && calls[i].address + calls[i].size > from) {
			return true;
		}
	}
	return false;
}

/* `closed`: the page that is closed for the processor alone. */
static void try(const struct instruction *instruction, uintptr_t address, uintptr_t other, uintptr_t closed) {
	machine_random(&initial, instruction->kind, address, other);
	initial.flags &= ~(uint64_t)0x400;
	memcpy(initial.state + 24, (uint32_t[]){0x1f80}, 4);
	initial.gpr[1] = initial.gpr[1] & 7; /* not many iterations */
	memcpy(memory, plain, alias_size);

	alias_protect(PROT_NONE);
	trapped = initial;
	machine_try(&trapped, instruction, false);
	memcpy(calls, alias_calls, sizeof calls);
	memcpy(plain, memory, alias_size);
	if (trapped.outcome != 0) {
		return;
	}
	bool is_touched = touches(closed, closed + 4096);

	alias_protect(PROT_READ | PROT_WRITE);
	mprotect((void *)closed, 4096, PROT_NONE);
	native = initial;
	machine_try(&native, instruction, true);
	memcpy(plain, memory, alias_size);
	bool faults = native.outcome == SIGSEGV && native.address - closed < 4096;
	CHECK(native.outcome != SIGSEGV || native.address - closed < 4096 || native.code == SI_KERNEL, "%s elsewhere: %#lx",
	    instruction->text, native.address);
	/* Before it is known how far a comparison goes, more is looked at. */
	bool is_open_ended = strncmp(instruction->text, "rep", 3) == 0 &&
	    (strstr(instruction->text, "cmps") || strstr(instruction->text, "scas"));
	/* Processors may refuse a page of which the mask has no byte, or the image no component; that is not an access. */
	bool is_masked = strstr(instruction->text, "maskmovq ") || strstr(instruction->text, "maskmovdqu") ||
	    strncmp(instruction->text, "xrstor", 6) == 0;
	CHECK(is_open_ended ? faults <= is_touched : is_masked ? faults >= is_touched : faults == is_touched,
	    "%s at %ld of the page: accesses it %d, is judged %d", instruction->text,
	    (long)(address - closed), faults, is_touched);
}

/* A bad granule anywhere near: the fault is at the first access that touches it, and nothing is done. */
static void try_bad(const struct instruction *instruction) {
	uintptr_t address = (uintptr_t)alias + 8 * 4096 + random_below(64), other = (uintptr_t)alias + 12 * 4096 + random_below(64);
	if (instruction->kind == state_instruction) {
		address &= ~(uintptr_t)63;
	}
	machine_random(&initial, instruction->kind, address, other);
	memcpy(initial.state + 24, (uint32_t[]){0x1f80}, 4);
	memcpy(memory, plain, alias_size);
	alias_protect(PROT_NONE);
	trapped = initial;
	machine_try(&trapped, instruction, false);
	memcpy(calls, alias_calls, sizeof calls);
	memcpy(plain, memory, alias_size);
	int count = alias_call_count;
	if (trapped.outcome != 0 || count == 0 || count > alias_calls_max) {
		return;
	}
	struct alias_call hit = calls[random_below((uint64_t)count)];
	uintptr_t bad = (hit.address + random_below(hit.size)) & ~(uintptr_t)15, expected = 0;
	for (int i = 0; i < count && expected == 0; i++) {
		if (calls[i].address < bad + 16 && calls[i].address + calls[i].size > bad) {
			expected = calls[i].address > bad ? calls[i].address : bad;
		}
	}
	alias_is_bad[(bad - (uintptr_t)alias) / 16] = true;
	trapped = initial;
	machine_try(&trapped, instruction, false);
	alias_is_bad[(bad - (uintptr_t)alias) / 16] = false;
	bool is_string = instruction->kind == count_instruction; /* stops where it is: another test's */
	if (!is_string) {
		native = initial;
		native.outcome = 100;
		native.code = TAGMEM_TAG_FAULT;
		native.address = expected;
		/* Elements that are done remain done; and the processor makes MMX of the x87's state before it is refused. */
		if (instruction->kind == gather_instruction || strncmp(instruction->text, "maskmovq ", 9) == 0) {
			memcpy(native.state, trapped.state, sizeof native.state);
		}
		machine_is_same(&native, &trapped, "bad granule", instruction->text);
		CHECK(memcmp(memory, plain, alias_size) == 0, "memory of %s", instruction->text);
	}
	memcpy(plain, memory, alias_size);
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	tagmem_goes_ahead = false; /* the calls are those of one instruction */
	alias_map();
	alias_handle_signals();
	for (size_t at = 0; at < alias_size; at++) {
		plain[at] = (char)random_number();
	}
	for (const struct instruction *instruction = instructions; instruction < instructions_end; instruction++) {
		bool is_state = instruction->kind == state_instruction;
		machine_random(&initial, instruction->kind, (uintptr_t)alias + 8 * 4096, (uintptr_t)alias + 6 * 4096);
		alias_protect(PROT_READ | PROT_WRITE);
		machine_try(&initial, instruction, true);
		if (initial.outcome == SIGILL || is_left_out(instruction)) {
			continue;
		}
		for (int i = 0; i < 10; i++) {
			try_bad(instruction);
		}
		for (int distance = -reach; distance <= reach; distance += is_state ? 1 : 1 + (int)random_below(7)) {
			/* Before the closed page, and behind it: what reaches down. */
			uintptr_t page = (uintptr_t)alias + edge, far = (uintptr_t)alias + 20 * 4096;
			try(instruction, page + (uintptr_t)(long)(is_state ? distance * 64 : distance), far, page);
			try(instruction, far, page + (uintptr_t)(long)distance, page);
			try(instruction, page + 4096 + (uintptr_t)(long)distance, far, page);
		}
	}
	return finish();
}
