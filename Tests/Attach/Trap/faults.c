/* Accesses that fault: where, with nothing done, and with the registers that a processor would leave. */
#include "machine.h"

#include <sys/mman.h>
#include <unistd.h>

#define SNIPPET(name, ...) \
	__asm__(".text\n" #name ": " #__VA_ARGS__ "\n jmp machine_after"); \
	extern const char name[]

SNIPPET(store_8, movq %rax, (%rdi));
SNIPPET(load_8, movq (%rdi), %rax);
SNIPPET(load_32, vmovdqu (%rdi), %ymm1);
SNIPPET(add_8, addq %rax, (%rdi));
SNIPPET(swap, lock cmpxchgq %rdx, (%rdi));
SNIPPET(move, movsq);
SNIPPET(compare, cmpsq);
SNIPPET(push_memory, pushq (%rdi));
SNIPPET(call_near, call machine_target);
SNIPPET(rep_move_1, rep movsb);
SNIPPET(rep_move_8, rep movsq);
SNIPPET(rep_store_4, rep stosl);
SNIPPET(rep_scan, repne scasb);
SNIPPET(rep_compare, repe cmpsb);
SNIPPET(mask_load, vmaskmovps (%rdi), %ymm1, %ymm2);
SNIPPET(mask_store, vpmaskmovd %ymm2, %ymm1, (%rdi));
SNIPPET(gather, vpgatherdd %ymm1, (%rdi,%ymm2,4), %ymm3);
SNIPPET(divide, divl (%rdi));
SNIPPET(aligned, movaps (%rdi), %xmm1);
SNIPPET(load_segment, mov (%rdi), %fs);
SNIPPET(far_jump, ljmpl *(%rdi));
SNIPPET(halt, hlt);

static struct machine before, after;
static char memory[alias_size];

enum { base = 8 * 4096 };

static void prepare(size_t offset, size_t other) {
	for (size_t at = 0; at < alias_size; at++) {
		plain[at] = (char)(at * 7 + at / 256);
	}
	memset(alias_is_bad, 0, sizeof alias_is_bad);
	alias_load_fault = alias_store_fault = TAGMEM_TAG_FAULT;
	machine_random(&before, plain_instruction, (uintptr_t)alias + offset, (uintptr_t)alias + other);
	before.gpr[0] = 0x1122334455667788;
	before.flags &= ~(uint64_t)0x400;
	memcpy(before.state + 24, (uint32_t[]){0x1f80}, 4);
}

static void run(const char *start) {
	struct instruction instruction = {.text = "", .start = start};
	after = before;
	memcpy(memory, plain, alias_size);
	machine_try(&after, &instruction, false);
}

static void make_bad(size_t offset) { alias_is_bad[offset / 16] = true; }

/* It faulted at `offset` of the alias, and nothing was done. */
static void check_fault(const char *what, size_t offset, bool is_store) {
	struct machine expected = before;
	expected.outcome = 100;
	expected.code = TAGMEM_TAG_FAULT;
	expected.address = (uintptr_t)alias + offset;
	machine_is_same(&expected, &after, what, "fault");
	CHECK(memcmp(memory, plain, alias_size) == 0, "%s: memory", what);
	CHECK(alias_result.operand.is_store == is_store, "%s: %d", what, alias_result.operand.is_store);
	CHECK(alias_result.judgement.allocation_tag == 3, "%s", what);
}

static void straddles(void) {
	prepare(base + 12, 0);
	make_bad(base + 16);
	run(store_8);
	check_fault("a store that ends in a bad granule", base + 16, true);
	prepare(base + 12, 0);
	make_bad(base);
	run(store_8);
	check_fault("a store that begins in a bad granule", base + 12, true);
	prepare(base - 4, 0);
	make_bad(base);
	run(store_8);
	check_fault("a store over a page's end", base, true);
	prepare(base - 4, 0);
	make_bad(base);
	run(load_8);
	check_fault("a load over a page's end", base, false);
	prepare(base + 15, 0);
	make_bad(base + 32);
	run(load_32);
	check_fault("a load of three granules", base + 32, false);
	prepare(base + 8, 0);
	make_bad(base + 16);
	run(load_8);
	CHECK(after.outcome == 0, "%lu", after.outcome);
	before.gpr[7] |= (uint64_t)5 << 56;
	make_bad(base);
	run(load_8);
	CHECK(after.address == before.gpr[7], "tagged: %#lx, expected %#lx", after.address, before.gpr[7]);
}

static void orders(void) {
	prepare(base, base + 64);
	make_bad(base);
	make_bad(base + 64);
	run(move);
	check_fault("movs, both bad", base + 64, false);
	alias_is_bad[(base + 64) / 16] = false;
	run(move);
	check_fault("movs to a bad one", base, true);
	run(compare);
	check_fault("cmps", base, false);
	prepare(base, base + 64);
	before.gpr[4] = (uintptr_t)alias + base + 128;
	make_bad(base + 120);
	run(push_memory);
	check_fault("push to a bad stack", base + 120, true);
	make_bad(base);
	run(push_memory);
	check_fault("push from bad memory", base, false);
	run(call_near);
	check_fault("call with a bad stack", base + 120, true);
	prepare(base, 0);
	before.gpr[0] = 0;
	make_bad(base);
	run(swap);
	check_fault("a compare-and-swap that would not store", base, true);
	CHECK(alias_result.operand.is_load, "it loads as well");
}

/* What is left of a repeated instruction that stopped at its access to `offset`. */
static void check_stop(const char *what, uint64_t iterations, int64_t step, size_t offset, bool has_rsi) {
	CHECK(after.outcome == 100 && after.address == (uintptr_t)alias + offset, "%s: %lu at %#lx, expected %#lx", what,
	    after.outcome, after.address, (uintptr_t)alias + offset);
	CHECK(after.gpr[1] == before.gpr[1] - iterations, "%s: rcx %lu, expected %lu", what, after.gpr[1],
	    before.gpr[1] - iterations);
	CHECK(after.gpr[7] == before.gpr[7] + iterations * (uint64_t)step, "%s: rdi %#lx", what, after.gpr[7]);
	CHECK(after.gpr[6] == before.gpr[6] + (has_rsi ? iterations * (uint64_t)step : 0), "%s: rsi %#lx", what, after.gpr[6]);
}

static void repeats(void) {
	prepare(base + 5, base + 4096);
	before.gpr[1] = 3000;
	make_bad(base + 1600);
	run(rep_move_1);
	check_stop("rep movsb to a bad granule", 1595, 1, base + 1600, true);
	CHECK(memcmp(plain + base + 5, plain + base + 4096, 1595) == 0, "what was moved");
	CHECK(memcmp(plain + base + 1600, memory + base + 1600, 2000) == 0, "what was not");
	CHECK(alias_traps < 30, "%ld traps", alias_traps);

	prepare(base + 5, base + 4096);
	before.gpr[1] = 300;
	make_bad(base + 4096 + 1600);
	run(rep_move_8);
	check_stop("rep movsq from a bad granule", 200, 8, base + 4096 + 1600, true);
	CHECK(memcmp(plain + base + 5, plain + base + 4096, 1600) == 0, "what was moved");
	CHECK(memcmp(plain + base + 1605, memory + base + 1605, 1000) == 0, "what was not");

	prepare(base + 2, 0);
	before.gpr[1] = 100;
	make_bad(base + 64);
	run(rep_store_4);
	check_stop("rep stosl: the store that straddles", 15, 4, base + 64, false);
	CHECK(memcmp(plain + base + 62, memory + base + 62, 400) == 0, "what was not stored");

	prepare(base + 200, base + 4096 + 200);
	before.gpr[1] = 150;
	before.flags |= 0x400;
	make_bad(base + 64);
	run(rep_move_1);
	check_stop("rep movsb down", 121, -1, base + 79, true);
	CHECK(memcmp(plain + base + 80, memory + base + 4096 + 80, 121) == 0, "what was moved down");

	/* Many pages: not one signal for each byte, and no more at once than is good. */
	prepare(base, 0);
	before.gpr[1] = 8 * 4096;
	run(rep_move_1);
	CHECK(after.outcome == 0 && alias_traps == 1, "%lu, %ld traps", after.outcome, alias_traps);
	CHECK(memcmp(plain + base, plain, 8 * 4096) == 0, "pages");
}

/* Comparisons end before what they do not look at. */
static void comparisons(void) {
	prepare(base + 3, 0);
	memset(plain + base, 1, 200);
	plain[base + 90] = 0;
	before.gpr[0] = 0;
	before.gpr[1] = ~(uint64_t)0;
	make_bad(base + 96);
	run(rep_scan);
	CHECK(after.outcome == 0 && after.gpr[7] == (uintptr_t)alias + base + 91, "found: %lu, rdi %#lx", after.outcome,
	    after.gpr[7]);
	CHECK(after.gpr[1] == ~(uint64_t)0 - 88, "rcx %#lx", after.gpr[1]);
	plain[base + 90] = 1;
	run(rep_scan);
	check_stop("repne scasb", 93, 1, base + 96, false);
	prepare(base, base + 4096);
	memset(plain + base, 1, 200);
	memset(plain + base + 4096, 1, 200);
	before.gpr[1] = 1000;
	make_bad(base + 4096 + 48);
	run(rep_compare);
	check_stop("repe cmpsb", 48, 1, base + 4096 + 48, true);
	plain[base + 47] = 2;
	run(rep_compare);
	CHECK(after.outcome == 0 && after.gpr[1] == 1000 - 48 && !(after.flags & 0x40), "%lu %lu", after.outcome,
	    after.gpr[1]);
}

static uint32_t lane(const struct machine *machine, int vector, int i) {
	uint32_t value;
	memcpy(&value, machine->state + (i < 4 ? 160 : 576) + 16 * vector + 4 * (i % 4), 4);
	return value;
}

static void set_lane(int vector, int i, uint32_t value) {
	memcpy(before.state + (i < 4 ? 160 : 576) + 16 * vector + 4 * (i % 4), &value, 4);
}

static void all_present(void) {
	uint64_t present = machine_features();
	memcpy(before.state + 512, &present, 8);
}

static void masks(void) {
	prepare(base + 8, 0);
	all_present();
	for (int i = 0; i < 8; i++) {
		set_lane(1, i, i == 2 || i == 3 || i == 4 || i == 5 ? 0 : 0x80000000);
	}
	make_bad(base + 16);
	run(mask_load);
	CHECK(after.outcome == 0 && lane(&after, 2, 6) != 0 && lane(&after, 2, 3) == 0, "masked off: %lu", after.outcome);
	run(mask_store);
	CHECK(after.outcome == 0, "masked off: %lu", after.outcome);
	CHECK(memcmp(plain + base + 16, memory + base + 16, 16) == 0, "masked off");
	prepare(base + 8, 0);
	all_present();
	for (int i = 0; i < 8; i++) {
		set_lane(1, i, i == 0 || i == 5 ? 0x80000000 : 0);
	}
	make_bad(base + 16);
	run(mask_store);
	check_fault("vpmaskmovd", base + 28, true);

	prepare(base, 0);
	all_present();
	for (int i = 0; i < 8; i++) {
		set_lane(1, i, i == 1 ? 0 : 0x80000000);
		set_lane(2, i, (uint32_t)(i * 16));
		set_lane(3, i, 0xabab0000 + (uint32_t)i);
	}
	make_bad(base + 64 * 5);
	run(gather);
	CHECK(after.outcome == 100 && after.address == (uintptr_t)alias + base + 64 * 5, "gather: %#lx", after.address);
	for (int i = 0; i < 8; i++) {
		uint32_t value = 0xabab0000 + (uint32_t)i;
		if (i < 5 && i != 1) {
			memcpy(&value, plain + base + 64 * i, 4);
		}
		CHECK(lane(&after, 3, i) == value, "gathered %d: %#x, expected %#x", i, lane(&after, 3, i), value);
		CHECK(lane(&after, 1, i) == (i < 5 ? 0 : 0x80000000), "mask %d: %#x", i, lane(&after, 1, i));
	}
}

static void deferred(void) {
	prepare(base, 0);
	make_bad(base);
	alias_load_fault = alias_store_fault = TAGMEM_ALLOWED_DEFERRED;
	run(store_8);
	CHECK(after.outcome == 0 && alias_result.has_deferred_fault, "%lu", after.outcome);
	CHECK(memcmp(plain + base, &before.gpr[0], 8) == 0, "it is stored");
	CHECK(alias_result.operand.is_store && alias_result.operand.size == 8, "%u", alias_result.operand.size);
	run(add_8);
	CHECK(after.outcome == 0 && alias_result.has_deferred_fault, "%lu", after.outcome);
	before.gpr[1] = 500;
	run(rep_store_4);
	CHECK(after.outcome == 0 && alias_result.has_deferred_fault && alias_traps < 3, "%lu %ld", after.outcome, alias_traps);
	CHECK(alias_result.operand.size == 4, "%u", alias_result.operand.size);
	run(load_32);
	CHECK(alias_result.has_deferred_fault && after.outcome == 0, "%lu", after.outcome);
	alias_is_bad[base / 16] = false;
	run(load_32);
	CHECK(!alias_result.has_deferred_fault, "no fault");

	/* Loads at once, stores later: what does both is a load. */
	make_bad(base);
	alias_load_fault = TAGMEM_TAG_FAULT;
	run(store_8);
	CHECK(after.outcome == 0 && alias_result.has_deferred_fault, "%lu", after.outcome);
	run(add_8);
	check_fault("an addition to memory, asymmetric", base, true);
	/* Stores alone. */
	alias_load_fault = TAGMEM_ALLOWED;
	alias_store_fault = TAGMEM_TAG_FAULT;
	run(load_8);
	CHECK(after.outcome == 0, "%lu", after.outcome);
	run(add_8);
	check_fault("an addition to memory, stores alone", base, true);
}

static void check_outcome(const char *what, uint64_t outcome, uint64_t code, uint64_t address) {
	struct machine expected = before;
	expected.outcome = outcome;
	expected.code = code;
	expected.address = address;
	machine_is_same(&expected, &after, what, "signal");
	CHECK(memcmp(memory, plain, base) == 0, "%s: memory", what);
}

static void others(void) {
	prepare(base, 0);
	memset(plain + base, 0, 16);
	run(divide);
	check_outcome("a division by zero", SIGFPE, FPE_INTDIV, (uintptr_t)divide);
	prepare(base + 8, 0);
	run(aligned);
	check_outcome("a misaligned vector", SIGSEGV, SI_KERNEL, 0);
	before.gpr[7] |= (uint64_t)1 << 56;
	run(aligned);
	check_outcome("a misaligned vector, tagged", SIGSEGV, SI_KERNEL, 0);
	before.gpr[7] = (uintptr_t)machine_outside + 8;
	run(aligned);
	check_outcome("a misaligned vector elsewhere", SIGSEGV, SI_KERNEL, 0);
	CHECK(alias_result.trap == TAGMEM_TRAP_NOT_OURS, "%d", alias_result.trap);
	before.gpr[7] = 8;
	run(load_8);
	check_outcome("a null pointer", SIGSEGV, SEGV_MAPERR, 8);
	CHECK(alias_result.trap == TAGMEM_TRAP_NOT_OURS, "%d", alias_result.trap);
	run(halt);
	CHECK(alias_result.trap == TAGMEM_TRAP_NOT_OURS && after.outcome == SIGSEGV, "%d", alias_result.trap);
	/* One operand in the span, the other one nowhere. */
	before.gpr[6] = (uintptr_t)alias + base;
	run(move);
	check_outcome("movs to nowhere", SIGSEGV, SEGV_MAPERR, 8);
	before.gpr[7] = (uintptr_t)alias + base;
	before.gpr[6] = 8;
	run(move);
	check_outcome("movs from nowhere", SIGSEGV, SEGV_MAPERR, 8);

	prepare(base, 0);
	run(load_segment);
	check_outcome("an unknown one", 200, (uint64_t)SEGV_ACCERR, (uintptr_t)alias + base);
	CHECK(strcmp(alias_result.text, "mov (%rdi), %fs") == 0, "%s", alias_result.text);
	before.gpr[7] |= (uint64_t)1 << 56;
	run(load_segment);
	CHECK(after.outcome == 200, "%lu", after.outcome);
	run(far_jump);
	CHECK(after.outcome == 200 && strstr(alias_result.text, "ljmp") != NULL, "%lu: %s", after.outcome, alias_result.text);
	before.gpr[7] = 8;
	run(load_segment);
	CHECK(alias_result.trap == TAGMEM_TRAP_NOT_OURS, "%d", alias_result.trap);
}

/* The object is cut, and then it is gone. */
static void gone(void) {
	prepare(base - 4, 0);
	(void)!ftruncate(alias_file, base);
	after = before;
	struct instruction instruction = {.text = "", .start = store_8};
	memcpy(memory, plain, base);
	machine_try(&after, &instruction, false);
	check_outcome("a store over the end", 100, TAGMEM_GONE, (uintptr_t)alias + base);
	instruction.start = rep_move_1;
	before.gpr[7] = (uintptr_t)alias + base - 100;
	before.gpr[1] = 500;
	after = before;
	machine_try(&after, &instruction, false);
	CHECK(after.code == TAGMEM_GONE && after.gpr[1] == 400 && after.address == (uintptr_t)alias + base, "%lu at %#lx, rcx %lu",
	    after.code, after.address, after.gpr[1]);
	CHECK(memcmp(plain + base - 100, plain, 100) == 0, "what was moved");
	instruction.start = push_memory;
	before.gpr[7] = (uintptr_t)alias + base + 4096;
	after = before;
	machine_try(&after, &instruction, false);
	CHECK(after.code == TAGMEM_GONE && after.address == before.gpr[7], "%lu at %#lx", after.code, after.address);
	(void)!ftruncate(alias_file, alias_size);
	munmap(plain + base, 4096);
	instruction.start = load_32;
	before.gpr[7] = (uintptr_t)alias + base - 1;
	after = before;
	memcpy(memory, plain, base);
	machine_try(&after, &instruction, false);
	check_outcome("a load from what is unmapped", 100, TAGMEM_UNMAPPED, (uintptr_t)alias + base);
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	alias_map();
	alias_protect(PROT_NONE);
	alias_handle_signals();
	for (int i = 0; i < 2; i++) {
		tagmem_goes_ahead = i == 0;
		straddles();
		orders();
		repeats();
		comparisons();
		masks();
		deferred();
		others();
	}
	gone();
	return finish();
}
