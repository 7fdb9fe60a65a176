#include "machine.h"

#include <stddef.h>
#include <x86intrin.h>

_Static_assert(offsetof(struct machine, flags) == 128 && offsetof(struct machine, state) == 192, "machine_run.S knows it");

enum { header = 512, avx = 576, software = 464 };
static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10,
    REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static const char *const names[16] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};

static struct machine *running;

__attribute__((target("xsave"))) uint64_t machine_features(void) { return _xgetbv(0) & 0xe7; }

/* The instruction did not go through: the machine's state is what the signal found. */
static void stop(int number, siginfo_t *info, ucontext_t *context) {
	greg_t *registers = context->uc_mcontext.gregs;
	const uint8_t *state = (const uint8_t *)context->uc_mcontext.fpregs;
	uint32_t size;
	for (int i = 0; i < 16; i++) {
		running->gpr[i] = (uint64_t)registers[order[i]];
	}
	running->flags = (uint64_t)registers[REG_EFL];
	memcpy(&size, state + software + 16, sizeof size);
	memcpy(running->state, state, size < sizeof running->state ? size : sizeof running->state);
	memset(running->state + software, 0, 48);
	running->outcome = (uint64_t)number;
	running->code = (uint64_t)info->si_code;
	running->address = (uint64_t)info->si_addr;
	if (!alias_is_native && alias_result.trap == TAGMEM_TRAP_SIGNAL) {
		running->outcome = (uint64_t)alias_result.signal.number;
		running->code = (uint64_t)alias_result.signal.code;
		running->address = alias_result.signal.address;
	} else if (!alias_is_native && alias_result.trap == TAGMEM_TRAP_FAULT) {
		running->outcome = 100;
		running->code = alias_result.judgement.verdict;
		running->address = alias_result.judgement.address;
	} else if (!alias_is_native && alias_result.trap == TAGMEM_TRAP_UNKNOWN) {
		running->outcome = 200;
	}
	registers[REG_RIP] = (greg_t)machine_abort;
	registers[REG_EFL] &= ~(greg_t)0x40100; /* single steps, alignment checks */
}

void machine_try(struct machine *machine, const struct instruction *instruction, bool is_native) {
	running = machine;
	machine->outcome = machine->code = machine->address = 0;
	alias_not_done = stop;
	alias_is_native = is_native;
	alias_traps = 0;
	alias_call_count = 0;
	machine_run(machine, instruction->start);
	alias_is_native = false;
}

static uint64_t random_word(void) {
	switch (random_below(6)) {
	case 0: return random_below(256);
	case 1: return 0x3ff0000000000000 + random_below((uint64_t)1 << 55);
	case 2: return (0x3f800000 + random_below(1 << 26)) | (0x3f000000 + random_below(1 << 26)) << 32;
	default: return random_number();
	}
}

static void random_state(struct machine *machine) {
	uint8_t *state = machine->state;
	uint16_t words[4] = {0x37f, 5 << 11, 0xe0, 0}; /* control, status, tags, opcode: three values are on the stack */
	uint32_t mxcsr[2] = {0x1f80, 0xffff};
	uint64_t present = machine_features();
	memset(state, 0, sizeof machine->state);
	memcpy(state, words, sizeof words);
	switch (random_below(8)) {
	case 0: mxcsr[0] = (uint32_t)random_below(0x10000); break; /* exceptions that are not masked */
	case 1: mxcsr[0] |= (uint32_t)random_below(4) << 13 | 0x8040; break;
	case 2: words[0] = 0x37f & ~(uint16_t)random_below(0x40); memcpy(state, words, sizeof words); break;
	}
	memcpy(state + 24, mxcsr, sizeof mxcsr);
	for (int i = 0; i < 8; i++) {
		uint64_t value[2] = {random_word() | (uint64_t)1 << 63, 0x3fff + random_below(40) - 20};
		memcpy(state + 32 + 16 * i, value, 10);
	}
	for (size_t at = 160; at < 416; at += 8) {
		uint64_t value = random_word();
		memcpy(state + at, &value, 8);
	}
	for (size_t at = avx; at < sizeof machine->state; at += 8) {
		uint64_t value = random_word();
		memcpy(state + at, &value, 8);
	}
	if (random_below(4) == 0) {
		present &= ~(uint64_t)(1 << random_below(8)); /* a component in its first state */
	}
	memset(state + header, 0, 64);
	memcpy(state + header, &present, 8);
}

uint64_t machine_outside[512];

static void small_indices(struct machine *machine) {
	for (int lane = 0; lane < 2; lane++) {
		uint8_t *base = machine->state + (lane ? avx : 160);
		for (int i = 0; i < 4; i++) {
			int32_t index = (int32_t)random_below(64) - 32;
			memcpy(base + 16 * 2 + 4 * i, &index, 4);
		}
		for (int i = 0; i < 2; i++) {
			int64_t index = (int64_t)random_below(64) - 32;
			memcpy(base + 16 * 4 + 8 * i, &index, 8);
		}
	}
	uint64_t present = machine_features();
	memcpy(machine->state + header, &present, 8);
}

void machine_random(struct machine *machine, enum instruction_kind kind, uintptr_t address, uintptr_t other) {
	uint64_t *gpr = machine->gpr;
	uintptr_t continuation = (uintptr_t)machine_target;
	static struct machine image;
	for (int i = 0; i < 16; i++) {
		gpr[i] = random_word();
	}
	random_state(machine);
	machine->flags = 0x202 | (random_number() & 0xcd5); /* carry, parity, half carry, zero, sign, direction, overflow */
	for (size_t i = 0; i < sizeof machine_outside / sizeof *machine_outside; i++) {
		machine_outside[i] = i;
	}
	gpr[1] = random_below(5);
	gpr[9] = random_below(9) - 4;
	gpr[2] = random_below(2) ? random_below(4) : gpr[2];
	gpr[7] = address;
	gpr[5] = gpr[13] = gpr[3] = address;
	gpr[6] = other;
	gpr[14] = continuation;
	gpr[4] = (uintptr_t)&machine_outside[256] + random_below(8) * 2;
	switch (kind) {
	case stack_instruction:
		gpr[4] = other;
		break;
	case mixed_instruction:
		if (random_below(2)) {
			gpr[4] = other;
			gpr[7] = (uintptr_t)&machine_outside[128] + random_below(64);
		} else {
			gpr[6] = (uintptr_t)&machine_outside[128] + random_below(64);
		}
		break;
	case count_instruction:
		gpr[1] = random_below(4) ? random_below(40) : random_below(2000);
		break;
	case table_instruction:
		gpr[4] = other;
		memcpy(plain + (gpr[4] - (uintptr_t)alias), &continuation, 8);
		gpr[9] = 0;
		memcpy(plain + (address - (uintptr_t)alias), &continuation, 8);
		memcpy(plain + (address + 8 - (uintptr_t)alias), &continuation, 8);
		break;
	case gather_instruction:
		small_indices(machine);
		break;
	case state_instruction:
		random_state(&image);
		memcpy(plain + (address - (uintptr_t)alias), image.state, 1024);
		gpr[0] = random_below(8);
		gpr[2] = 0;
		break;
	case line_instruction:
		gpr[0] = address;
		return;
	default:
		break;
	}
	if (random_below(2)) {
		gpr[0] &= ~(uint64_t)0xff; /* what cmpxchg, scas and xlat look for */
		memcpy(&gpr[0], plain + (address - (uintptr_t)alias), random_below(9));
	}
}

static bool differs(bool is_same, const char *what, const char *text, const char *name, uint64_t a, uint64_t b) {
	if (!is_same && failures++ < 40) {
		printf("%s: %s: %s is %#llx, expected %#llx\n", text, what, name, (unsigned long long)b, (unsigned long long)a);
	}
	return !is_same;
}

/* Registers of components that are in their first state are 0, whatever is stored. */
static void normalize(const struct machine *machine, uint8_t state[sizeof machine->state]) {
	uint64_t present;
	memcpy(state, machine->state, sizeof machine->state);
	memcpy(&present, state + header, 8);
	if (!(present & 1)) {
		static const uint8_t control[2] = {0x7f, 0x03};
		memset(state, 0, 24);
		memset(state + 32, 0, 128);
		memcpy(state, control, 2);
	}
	if (!(present & 2)) {
		memset(state + 160, 0, 256);
	}
	if (!(present & 4)) {
		memset(state + avx, 0, 256);
	}
	for (int i = 0; i < 8; i++) {
		memset(state + 32 + 16 * i + 10, 0, 6);
	}
	memset(state + 28, 0, 4);
	memset(state + 416, 0, 160);
}

bool machine_is_same(const struct machine *a, const struct machine *b, const char *what, const char *text) {
	static uint8_t x[sizeof a->state], y[sizeof a->state];
	bool fails = differs(a->outcome == b->outcome, what, text, "outcome", a->outcome, b->outcome);
	fails |= differs(a->code == b->code, what, text, "code", a->code, b->code);
	fails |= differs(a->address == b->address, what, text, "address", a->address, b->address);
	for (int i = 0; i < 16; i++) {
		fails |= differs(a->gpr[i] == b->gpr[i], what, text, names[i], a->gpr[i], b->gpr[i]);
	}
	/* Not the resume flag, and not those that Linux does not restore when a handler returns (nested task, id). */
	fails |= differs(!((a->flags ^ b->flags) & ~(uint64_t)0x214000), what, text, "flags", a->flags, b->flags);
	normalize(a, x);
	normalize(b, y);
	for (size_t at = 0; at < sizeof x; at += 8) {
		uint64_t p, q;
		char name[24];
		memcpy(&p, x + at, 8);
		memcpy(&q, y + at, 8);
		snprintf(name, sizeof name, "state[%zu]", at);
		fails |= differs(p == q, what, text, name, p, q);
	}
	return !fails;
}
