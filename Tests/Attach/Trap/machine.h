/* One instruction of a table, run with a given state of all registers. */
#ifndef MACHINE_H
#define MACHINE_H

#include "alias.h"

struct machine {
	uint64_t gpr[16]; /* in the processor's order */
	uint64_t flags;
	_Alignas(64) uint8_t state[4096]; /* as xsave has it */
	uint64_t outcome; /* 0: it went through; or the signal's number, code and address */
	uint64_t code, address;
};

struct instruction {
	const char *text;
	const void *start;
	uint64_t kind; /* enum instruction_kind */
};
/* What its registers are for. Of all: rdi, rsi, rbx, rbp and r13 point into the alias, rcx and r9 are small. */
enum instruction_kind {
	plain_instruction,
	stack_instruction, /* rsp and rbp point into the alias: the stack is there */
	mixed_instruction, /* one operand is on an ordinary stack */
	count_instruction, /* rcx counts */
	table_instruction, /* the memory at [rdi] and [rsp] must be addresses of code: the table's continuations */
	gather_instruction, /* ymm1 has masks and ymm2 small indices */
	state_instruction, /* eax has the components; memory at [rdi] is an image of xsave */
	line_instruction, /* rax points into the alias */
	no_access_instruction, /* does not fault, or is not judged */
};
extern const struct instruction instructions[], instructions_end[];

/* Memory that is no span's: some stacks, and operands of mixed instructions. */
extern uint64_t machine_outside[512];

/* Where returns and jumps of the table go to. */
extern const char machine_after[], machine_target[];

void machine_run(struct machine *machine, const void *start);
extern const char machine_abort[];
uint64_t machine_features(void);

/* A random state, and what `kind` needs: the operand in memory is at `offset` of the alias, `other` is a second one. */
void machine_random(struct machine *machine, enum instruction_kind kind, uintptr_t address, uintptr_t other);
/* Runs it; memory is as it is. Natively: signals are outcomes; else results of traps are. */
void machine_try(struct machine *machine, const struct instruction *instruction, bool is_native);
/* Whether two states are alike: which registers are not is told. */
bool machine_is_same(const struct machine *a, const struct machine *b, const char *what, const char *text);

#endif
