/* From Zydis's decoded instruction to a plan. */
#ifndef TAGMEM_DECODED_H
#define TAGMEM_DECODED_H

#include <Zydis/Zydis.h>

#include "Trap.h"

#pragma GCC visibility push(hidden)

struct tagmem_decoded {
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *bytes;
};

/* The number of a general register of any size, -1 for others. */
int tagmem_gpr_of(ZydisRegister name);
/* Rewrite.c: the instruction with its operand in memory at [scratch], and a return; and without a segment and an address
 * size. */
void tagmem_rewrite(const struct tagmem_decoded *decoded, const struct tagmem_plan *plan, uint8_t code[16]);

/* Plan.c's parts: Classify.c says what kind it is, Elements.c what of masked and gathering instructions. */
void tagmem_classify(struct tagmem_plan *plan, const struct tagmem_decoded *decoded, const ZydisDecodedOperand *memory);
enum tagmem_kind tagmem_register_kind(const struct tagmem_decoded *decoded); /* RegisterOnly.c */
void tagmem_plan_elements(struct tagmem_plan *plan, const struct tagmem_decoded *decoded,
    const ZydisDecodedOperand *memory);

#pragma GCC visibility pop

#endif
