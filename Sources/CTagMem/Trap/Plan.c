/* An instruction's plan: decoded once, so that doing it is quick. */
#include "Decoded.h"

#include <string.h>

int tagmem_gpr_of(ZydisRegister name) {
	ZydisRegister wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
	return ZydisRegisterGetClass(wide) == ZYDIS_REGCLASS_GPR64 ? ZydisRegisterGetId(wide) : -1;
}

static struct tagmem_form form_of(const ZydisDecodedOperand *memory, const ZydisDecodedInstruction *instruction,
    uintptr_t pc) {
	struct tagmem_form form = {.base = (int8_t)tagmem_gpr_of(memory->mem.base), .index = -1, .scale = memory->mem.scale,
	    .is_short = instruction->address_width == 32, .displacement = memory->mem.disp.value};
	if (memory->mem.index != ZYDIS_REGISTER_NONE) {
		bool is_vector = memory->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
		form.index = (int8_t)(is_vector ? ZydisRegisterGetId(memory->mem.index) : tagmem_gpr_of(memory->mem.index));
	}
	if (memory->mem.segment == ZYDIS_REGISTER_FS || memory->mem.segment == ZYDIS_REGISTER_GS) {
		form.segment = memory->mem.segment == ZYDIS_REGISTER_FS ? 'f' : 'g';
	}
	if (memory->mem.base == ZYDIS_REGISTER_RIP || memory->mem.base == ZYDIS_REGISTER_EIP) {
		form.base = -1;
		form.displacement += (int64_t)(pc + instruction->length);
	}
	return form;
}

/* Registers of the first eight that the instruction does not have, for its address and for rsp. */
static void choose_registers(struct tagmem_plan *plan, const struct tagmem_decoded *decoded) {
	static const int8_t candidates[] = {tagmem_rdi, tagmem_rsi, tagmem_rbx, tagmem_rcx, tagmem_rdx, tagmem_rax};
	unsigned used = 0;
	bool has_rsp = false;
	for (int i = 0; i < decoded->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		int number = operand->type == ZYDIS_OPERAND_TYPE_REGISTER ? tagmem_gpr_of(operand->reg.value) : -1;
		if (number >= 0) {
			used |= 1u << number;
			has_rsp |= number == tagmem_rsp;
		}
	}
	plan->scratch = plan->stand_in = -1;
	for (size_t i = 0; i < sizeof candidates; i++) {
		if (used >> candidates[i] & 1) {
			continue;
		}
		if (plan->scratch < 0) {
			plan->scratch = candidates[i];
		} else if (has_rsp && plan->stand_in < 0) {
			plan->stand_in = candidates[i];
		}
	}
}

/* The value that a push, pop, call or jump is about. */
static void plan_source(struct tagmem_plan *plan, const ZydisDecodedInstruction *instruction,
    const ZydisDecodedOperand *operand) {
	plan->source = TAGMEM_IN_MEMORY;
	if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		plan->source = TAGMEM_IN_VALUE;
		plan->value = operand->imm.value.s;
		if (operand->imm.is_relative) {
			plan->value += (int64_t)(plan->pc + instruction->length);
		}
	} else if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		plan->source = TAGMEM_IN_REGISTER;
		plan->operand = (int8_t)tagmem_gpr_of(operand->reg.value);
		if (operand->reg.value == ZYDIS_REGISTER_FS || operand->reg.value == ZYDIS_REGISTER_GS) {
			plan->source = TAGMEM_IN_SEGMENT;
			plan->operand = operand->reg.value == ZYDIS_REGISTER_FS ? 'f' : 'g';
		} else if (plan->operand < 0) { /* rsp, the first one of pushf */
			plan->source = TAGMEM_IN_FLAGS;
		}
	}
}

static void plan_stack(struct tagmem_plan *plan, const struct tagmem_decoded *decoded) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	const ZydisDecodedOperand *first = &decoded->operands[0];
	switch (plan->kind) {
	case TAGMEM_KIND_PUSH:
	case TAGMEM_KIND_POP:
		plan_source(plan, instruction, first);
		if (first->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
			plan->source = TAGMEM_IN_FLAGS;
		}
		if (plan->kind == TAGMEM_KIND_POP && plan->source == TAGMEM_IN_SEGMENT) {
			plan->kind = TAGMEM_KIND_UNKNOWN;
		}
		break;
	case TAGMEM_KIND_CALL:
	case TAGMEM_KIND_JUMP:
		plan_source(plan, instruction, first);
		break;
	case TAGMEM_KIND_RETURN:
		plan->value = first->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? (int64_t)first->imm.value.u : 0;
		break;
	case TAGMEM_KIND_ENTER:
		plan->value = (int64_t)first->imm.value.u;
		plan->levels = decoded->operands[1].imm.value.u % 32;
		/* What more than the 128 bytes below rsp it would write may be the handler's. */
		if (plan->levels > 15 || plan->size != 8) {
			plan->kind = TAGMEM_KIND_UNKNOWN;
		}
		break;
	default:
		break;
	}
}

static void plan_string(struct tagmem_plan *plan, const struct tagmem_decoded *decoded) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	plan->is_load = plan->is_store = false;
	for (int i = 0; i < instruction->operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			bool is_rdi = tagmem_gpr_of(operand->mem.base) == tagmem_rdi;
			plan->has_rdi |= is_rdi;
			plan->has_rsi |= !is_rdi;
			/* What is stored is at rdi. */
			plan->is_store |= (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
			if (!is_rdi) {
				plan->form = form_of(operand, instruction, plan->pc);
			}
		}
	}
	plan->is_load = plan->has_rsi || !plan->is_store;
	plan->has_condition = plan->has_rdi && !plan->is_store;
	for (int i = 0; i < instruction->raw.prefix_count; i++) {
		uint8_t prefix = instruction->raw.prefixes[i].value;
		if (prefix == 0xf2 || prefix == 0xf3) {
			plan->repeats = prefix;
		}
	}
}

static void plan_lea(struct tagmem_plan *plan, const struct tagmem_decoded *decoded) {
	plan->size = decoded->operands[0].size / 8;
	plan->operand = (int8_t)tagmem_gpr_of(decoded->operands[0].reg.value);
	plan->form = form_of(&decoded->operands[1], &decoded->instruction, plan->pc);
	plan->form.segment = 0;
}

static void plan_operand(struct tagmem_plan *plan, const struct tagmem_decoded *decoded,
    const ZydisDecodedOperand *memory) {
	plan->size = memory->size / 8;
	plan->form = form_of(memory, &decoded->instruction, plan->pc);
	/* A compare-and-swap is a store also where it would not store. */
	plan->is_load = memory->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
	plan->is_store = memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	if (plan->kind == TAGMEM_KIND_BIT) {
		plan->operand = (int8_t)tagmem_gpr_of(decoded->operands[1].reg.value);
	}
}

bool tagmem_plan_make(struct tagmem_plan *plan, uintptr_t pc, const uint8_t *bytes, size_t count, uint8_t code[16],
    bool *is_short) {
	struct tagmem_decoded decoded = {.bytes = bytes};
	const ZydisDecodedOperand *memory = NULL;
	ZydisDecoder decoder;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZyanStatus status =
	    ZydisDecoderDecodeFull(&decoder, bytes, count, &decoded.instruction, decoded.operands);
	*is_short = status == ZYDIS_STATUS_NO_MORE_DATA;
	if (!ZYAN_SUCCESS(status)) {
		return false;
	}
	memset(plan, 0, sizeof *plan);
	plan->pc = pc;
	plan->length = decoded.instruction.length;
	memcpy(plan->bytes, bytes, plan->length);
	memset(code, 0, 16);
	for (int i = decoded.instruction.operand_count - 1; i >= 0; i--) {
		const ZydisDecodedOperand *operand = &decoded.operands[i];
		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.type != ZYDIS_MEMOP_TYPE_AGEN) {
			memory = operand;
		}
	}
	plan->size = memory != NULL ? memory->size / 8 : 0;
	tagmem_classify(plan, &decoded, memory);
	if (memory != NULL) {
		plan_operand(plan, &decoded, memory);
		tagmem_plan_elements(plan, &decoded, memory);
	}
	choose_registers(plan, &decoded);
	switch (plan->kind) {
	case TAGMEM_KIND_IMPLIED:
		plan->operand = memory != NULL ? tagmem_rdi : tagmem_rax;
		if (memory == NULL) { /* clzero: a line of the cache */
			plan->size = 64;
			plan->is_store = true;
			plan->form = (struct tagmem_form){.base = tagmem_rax, .index = -1};
		}
		tagmem_rewrite(&decoded, plan, code);
		break;
	case TAGMEM_KIND_STRING:
		plan_string(plan, &decoded);
		tagmem_rewrite(&decoded, plan, code);
		break;
	case TAGMEM_KIND_ADDRESS:
		plan_lea(plan, &decoded);
		break;
	case TAGMEM_KIND_BRANCH:
		plan->condition = decoded.instruction.opcode & 0xf;
		plan_source(plan, &decoded.instruction, &decoded.operands[0]);
		break;
	case TAGMEM_KIND_REGISTERS:
	case TAGMEM_KIND_ACCESS:
	case TAGMEM_KIND_BIT:
	case TAGMEM_KIND_DIVIDE:
	case TAGMEM_KIND_STATE:
	case TAGMEM_KIND_MASKED:
		tagmem_rewrite(&decoded, plan, code);
		break;
	default:
		plan_stack(plan, &decoded);
		break;
	}
	return true;
}
