/*
 * Trap/: what its files share. A trap is: fetch the instruction (Trap.c), plan it (Plan.c; plans are kept: Kept.c), then by
 * its kind have its accesses judged (Access.c) and done: by the processor, with the instruction rewritten (Rewrite.c) to
 * access memory through one register and run with all of the program's registers (Run.S), or, where it is all about the
 * stack or about single elements, here (Stack.c, Gather.c).
 */
#ifndef TAGMEM_TRAP_H
#define TAGMEM_TRAP_H

#include "../internal.h"

#pragma GCC visibility push(hidden)

/* General registers, by the processor's numbers. */
enum { tagmem_rax, tagmem_rcx, tagmem_rdx, tagmem_rbx, tagmem_rsp, tagmem_rbp, tagmem_rsi, tagmem_rdi, tagmem_gprs = 16 };

/* Flags: zero, trap, direction, resume. */
enum { tagmem_zf = 1 << 6, tagmem_tf = 1 << 8, tagmem_df = 1 << 10, tagmem_rf = 1 << 16 };

/* How an instruction is done. */
enum tagmem_kind {
	TAGMEM_KIND_UNKNOWN, /* not at all */
	TAGMEM_KIND_NO_ACCESS, /* it has no operand in memory, and is not one of the next */
	TAGMEM_KIND_REGISTERS, /* as it is: it has registers alone */
	TAGMEM_KIND_ADDRESS, /* lea */
	TAGMEM_KIND_BRANCH, /* a conditional one */
	TAGMEM_KIND_ACCESS, /* rewritten: one operand in memory */
	TAGMEM_KIND_BIT, /* the same, and bits 3, 4 or 5 up of a register are part of the address (bt m, r) */
	TAGMEM_KIND_DIVIDE, /* the same, with a look at the operands first */
	TAGMEM_KIND_STATE, /* the same; what xsave and kin access depends on registers and memory */
	TAGMEM_KIND_MASKED, /* the same; only the elements that a mask has */
	TAGMEM_KIND_IMPLIED, /* the address is in a register that is implied (maskmovdqu: rdi, clzero: rax) */
	TAGMEM_KIND_STRING, /* rsi and rdi are implied, and maybe rcx */
	TAGMEM_KIND_GATHER, /* and scatter: addresses are in a vector; element by element */
	TAGMEM_KIND_PUSH,
	TAGMEM_KIND_POP,
	TAGMEM_KIND_CALL,
	TAGMEM_KIND_JUMP,
	TAGMEM_KIND_RETURN,
	TAGMEM_KIND_ENTER,
	TAGMEM_KIND_LEAVE,
	TAGMEM_KIND_TABLE, /* xlat */
};

/* Where a PUSH has its value, and a POP puts it; where a CALL or JUMP has its target. */
enum tagmem_source { TAGMEM_IN_MEMORY, TAGMEM_IN_REGISTER, TAGMEM_IN_VALUE, TAGMEM_IN_FLAGS, TAGMEM_IN_SEGMENT };

/* An address in terms of registers. */
struct tagmem_form {
	int8_t base, index; /* general registers, or -1; of a gather the index is a vector */
	uint8_t scale;
	uint8_t segment; /* 0, or 'f' or 'g' */
	bool is_short; /* computed in 32 bits */
	int64_t displacement; /* with rip, where the address is relative to it */
};

/* An instruction, decoded. */
struct tagmem_plan {
	uintptr_t pc;
	uint8_t bytes[15], length;
	uint8_t kind; /* enum tagmem_kind */
	struct tagmem_form form; /* of the operand in memory that is explicit */
	uint32_t size; /* its bytes; those of one element of a string or gather; those that a stack instruction moves */
	bool is_load, is_store, is_touched; /* not touched: prefetches, cache maintenance, nop */

	int8_t scratch; /* the register that stands for the operand's address */
	int8_t stand_in; /* the register that stands for rsp as an operand, or -1 */
	uint8_t reads; /* enum tagmem_state: what of the extended state it needs */
	bool is_signed; /* DIVIDE: idiv */

	uint8_t repeats; /* a string's prefix: 0, 0xf2 or 0xf3 */
	bool has_condition; /* a string that compares: scas, cmps */
	bool has_rsi, has_rdi; /* what a string accesses */
	uint8_t source; /* enum tagmem_source */
	int8_t operand; /* a general register: of BIT, IMPLIED, PUSH, POP, CALL; a vector: destination of a gather */
	int64_t value; /* PUSH, CALL, JUMP, RETURN, ENTER: the immediate or the target */
	uint8_t levels; /* ENTER */
	uint8_t condition; /* BRANCH: the low bits of its opcode */

	int8_t mask; /* a vector with sign bits, or an opmask */
	bool is_opmask;
	bool is_packed; /* vpcompress, vpexpand: as many elements as the mask has bits, one after the other */
	uint8_t mask_bits, element; /* elements of the mask, and bytes of one in memory; element i is at i modulo size */
	uint8_t index_size, vector; /* of a gather: bytes of an index; bytes of its vectors */

	const uint8_t *code; /* the rewritten instruction, to be called; NULL if the kind has none */
	const struct tagmem_plan *_Atomic next;
	bool is_spare; /* one that must be dropped */
	uint8_t depth; /* of those that are found in the same place */
	_Atomic uint8_t misses; /* of Ahead.c */
};

/* How much of the extended state an instruction needs. */
enum tagmem_state { TAGMEM_STATE_NONE, TAGMEM_STATE_VECTORS, TAGMEM_STATE_ALL };

/* Plan.c. False: the bytes are none, or not all of an instruction (then `is_short`). `code` gets the rewritten one. */
bool tagmem_plan_make(struct tagmem_plan *plan, uintptr_t pc, const uint8_t *bytes, size_t count, uint8_t code[16],
    bool *is_short);

/* Kept.c. Plans live for ever, unless there are very many: so each must be dropped when it is done with. */
const struct tagmem_plan *tagmem_plan_find(uintptr_t pc, const uint8_t *bytes, size_t count);
const struct tagmem_plan *tagmem_plan_keep(const struct tagmem_plan *plan, const uint8_t code[16]);
void tagmem_plan_drop(const struct tagmem_plan *plan);
/* Whether an address is in rewritten code. */
bool tagmem_is_rewritten(uintptr_t pc);

/* Registers for a rewritten instruction, before and after. Run.S knows the offsets. */
struct tagmem_run {
	uint64_t gpr[tagmem_gprs]; /* rsp is neither loaded nor stored: signals need the handler's stack */
	uint64_t flags;
	const uint8_t *code;
	void *state; /* extended state in the format of xsave, or NULL */
	uint64_t features; /* which of it */
	struct tagmem_signal signal; /* what it raised, or number 0. `state` is then as it was, but for SIGFPE */
};

/* Run.S. The state and all registers are loaded, the code is called, and all are stored. */
void tagmem_run(struct tagmem_run *run);
extern const uint8_t tagmem_run_after[];
/* Copies: 1, 2, 4 and 8 bytes in one access. -1: a signal instead. */
int tagmem_copy(void *to, const void *from, size_t size, struct tagmem_signal *signal);
extern const uint8_t tagmem_copy_end[], tagmem_copy_fails[];
/* What other code wrote is executed from here on. */
void tagmem_serialize(void);

/* A place that an instruction accesses. */
struct tagmem_place {
	struct tagmem_operand operand;
	char *at; /* where it is done */
	bool is_in_span;
};

/* An instruction being done. */
struct tagmem_attempt {
	const struct tagmem_plan *plan;
	ucontext_t *context;
	struct tagmem_run run; /* the context's registers; written back when it is done */
	struct tagmem_place places[2];
	int count;
	bool stays; /* it is not finished: a rep with iterations left */
	struct tagmem_ahead *ahead; /* NULL: it is the one that was refused */
	struct tagmem_trap_result *result;
};

/* Trap.c. The plan of the instruction at `pc`; its bytes are `count` of `bytes`. NULL if it is none, or no memory is left. */
const struct tagmem_plan *tagmem_plan_of(uintptr_t pc, uint8_t bytes[16], size_t *count);
/* Does the attempt's plan with the attempt's registers: true if it is done, and `pc` is where the program goes on. */
bool tagmem_attempt(struct tagmem_attempt *attempt, uintptr_t *pc);

/* Ahead.c: what is refused next is done as well. */
struct tagmem_ahead {
	uintptr_t stack, stack_end; /* the handler's */
	unsigned gains; /* accesses that would have been refused */
};
extern bool tagmem_goes_ahead; /* true, but for tests */
void tagmem_go_ahead(struct tagmem_attempt *attempt, uintptr_t *pc);
/* Whether an instruction that is not the refused one may access this. */
bool tagmem_ahead_may(struct tagmem_ahead *ahead, struct tagmem_operand operand);

/* Registers.c */
void tagmem_registers_load(struct tagmem_attempt *attempt);
void tagmem_registers_store(const struct tagmem_attempt *attempt);
uintptr_t tagmem_address(const struct tagmem_form *form, const uint64_t *gpr);
uint64_t tagmem_segment_base(uint8_t segment);

/* Vectors.c: extended state in the context. Registers that are not in it are 0. */
void *tagmem_extended_state(const ucontext_t *context, uint64_t *features);
void tagmem_vector_load(const ucontext_t *context, int number, uint8_t bytes[64]);
/* The bytes above `size` become 0. */
void tagmem_vector_store(ucontext_t *context, int number, const uint8_t *bytes, size_t size);
uint64_t tagmem_opmask_load(const ucontext_t *context, int number);
void tagmem_opmask_store(ucontext_t *context, int number, uint64_t mask);
/* Where a component of the extended state is in the standard format. */
struct tagmem_component { uint32_t offset, size; bool is_aligned; };
struct tagmem_component tagmem_component(int number);

/* Access.c. Where an access is done; nothing is judged. */
struct tagmem_place tagmem_place_of(struct tagmem_operand operand);
void tagmem_add_place(struct tagmem_attempt *attempt, struct tagmem_operand operand);
/* The verdict on the access: false if it faults, and the result says so. */
bool tagmem_allow(struct tagmem_attempt *attempt, struct tagmem_operand operand);
/* The same, and its place is one of the attempt's. */
bool tagmem_admit(struct tagmem_attempt *attempt, struct tagmem_operand operand);
static inline struct tagmem_operand tagmem_load(uintptr_t address, uint32_t size) {
	return (struct tagmem_operand){.address = address, .size = size, .is_load = true};
}
static inline struct tagmem_operand tagmem_store(uintptr_t address, uint32_t size) {
	return (struct tagmem_operand){.address = address, .size = size, .is_store = true};
}
/* What the plan's operand in memory does, at `address`. */
static inline struct tagmem_operand tagmem_operand_at(const struct tagmem_plan *plan, uintptr_t address, uint32_t size) {
	return (struct tagmem_operand){
	    .address = address, .size = size, .is_load = plan->is_load, .is_store = plan->is_store};
}
/* Whether a place of the attempt is in a span; otherwise the result is NOT_OURS. Ahead, it need not be. */
bool tagmem_concerns(struct tagmem_attempt *attempt);
/* Does the rewritten instruction: false if it raised a signal, and the result says which. */
bool tagmem_do(struct tagmem_attempt *attempt);
/* A load or store done here: the same. `place` is one of the attempt's. */
bool tagmem_fetch(struct tagmem_attempt *attempt, void *to, const struct tagmem_place *place);
bool tagmem_put(struct tagmem_attempt *attempt, const struct tagmem_place *place, const void *from);
/* The result of a signal that came from the attempt's places. */
void tagmem_tell(struct tagmem_attempt *attempt, struct tagmem_signal signal);
bool tagmem_attempt_raise(struct tagmem_attempt *attempt, int number, int code, uintptr_t address); /* false */

/* The kinds. True: done, and the registers of the attempt are those behind it but for rip, which a jump has set. */
bool tagmem_do_access(struct tagmem_attempt *attempt); /* Rewritten.c */
bool tagmem_do_registers(struct tagmem_attempt *attempt);
bool tagmem_do_divide(struct tagmem_attempt *attempt); /* Divide.c; the access is admitted */
bool tagmem_do_string(struct tagmem_attempt *attempt); /* Strings.c */
bool tagmem_do_stack(struct tagmem_attempt *attempt, uintptr_t *pc); /* Stack.c */
bool tagmem_do_branch(struct tagmem_attempt *attempt, uintptr_t *pc); /* Branch.c */
bool tagmem_do_lea(struct tagmem_attempt *attempt);
bool tagmem_do_gather(struct tagmem_attempt *attempt); /* Gather.c */
/* Masked.c: the elements that are accessed, the first in bit 0. */
uint64_t tagmem_mask_of(const struct tagmem_attempt *attempt);
bool tagmem_admit_masked(struct tagmem_attempt *attempt, uintptr_t address);
/* State.c: what xsave and kin access. */
bool tagmem_admit_state(struct tagmem_attempt *attempt, uintptr_t address);

#pragma GCC visibility pop

#endif
