/* What kind of instruction it is. */
#include "Decoded.h"

static bool is_touched(const ZydisDecodedInstruction *instruction) {
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_CLDEMOTE:
		return false;
	default:
		return instruction->meta.category != ZYDIS_CATEGORY_PREFETCH &&
		    instruction->meta.category != ZYDIS_CATEGORY_NOP &&
		    instruction->meta.category != ZYDIS_CATEGORY_WIDENOP;
	}
}

/* Those that access the stack. */
static enum tagmem_kind stack_kind(const ZydisDecodedInstruction *instruction) {
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_CALL: return TAGMEM_KIND_CALL;
	case ZYDIS_MNEMONIC_JMP: return TAGMEM_KIND_JUMP;
	case ZYDIS_MNEMONIC_RET: return TAGMEM_KIND_RETURN;
	case ZYDIS_MNEMONIC_ENTER: return TAGMEM_KIND_ENTER;
	case ZYDIS_MNEMONIC_LEAVE: return TAGMEM_KIND_LEAVE;
	case ZYDIS_MNEMONIC_XLAT: return TAGMEM_KIND_TABLE;
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFQ: return TAGMEM_KIND_PUSH;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFQ: return TAGMEM_KIND_POP;
	default: return TAGMEM_KIND_UNKNOWN;
	}
}

/* A segment register, a shadow stack, tiles, or two operands in memory. */
static bool is_beyond(const struct tagmem_decoded *decoded) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	const ZydisDecodedOperand *operands = decoded->operands;
	int memory = 0;
	for (int i = 0; i < instruction->operand_count; i++) {
		const ZydisDecodedOperand *operand = &operands[i];
		bool is_written = operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
		memory += operand->type == ZYDIS_OPERAND_TYPE_MEMORY;
		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && is_written &&
		    ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_SEGMENT) {
			return true;
		}
	}
	switch (instruction->meta.isa_ext) {
	case ZYDIS_ISA_EXT_CET:
	case ZYDIS_ISA_EXT_MPX:
	case ZYDIS_ISA_EXT_XSAVES:
	case ZYDIS_ISA_EXT_ENQCMD:
	case ZYDIS_ISA_EXT_AMX_TILE:
	case ZYDIS_ISA_EXT_KEYLOCKER_WIDE:
		return true;
	default:
		return memory > 1;
	}
}

static enum tagmem_kind rewritten_kind(const struct tagmem_decoded *decoded, const ZydisDecodedOperand *memory) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return decoded->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER ? TAGMEM_KIND_BIT : TAGMEM_KIND_ACCESS;
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
		return TAGMEM_KIND_DIVIDE;
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEOPT:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
	case ZYDIS_MNEMONIC_XSAVEC:
	case ZYDIS_MNEMONIC_XSAVEC64:
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		return TAGMEM_KIND_STATE;
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
		return TAGMEM_KIND_IMPLIED;
	default:
		return memory->mem.type == ZYDIS_MEMOP_TYPE_VSIB ? TAGMEM_KIND_GATHER : TAGMEM_KIND_ACCESS;
	}
}

/* What of the extended state it needs. */
static enum tagmem_state state_of(const struct tagmem_decoded *decoded) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	enum tagmem_state state = TAGMEM_STATE_VECTORS;
	switch (instruction->meta.isa_ext) {
	case ZYDIS_ISA_EXT_BASE:
	case ZYDIS_ISA_EXT_LONGMODE:
	case ZYDIS_ISA_EXT_BMI1:
	case ZYDIS_ISA_EXT_BMI2:
	case ZYDIS_ISA_EXT_MOVBE:
	case ZYDIS_ISA_EXT_ADOX_ADCX:
	case ZYDIS_ISA_EXT_LZCNT:
		state = TAGMEM_STATE_NONE;
		break;
	case ZYDIS_ISA_EXT_X87:
	case ZYDIS_ISA_EXT_MMX:
	case ZYDIS_ISA_EXT_AMD3DNOW:
	case ZYDIS_ISA_EXT_XSAVE:
	case ZYDIS_ISA_EXT_XSAVEC:
	case ZYDIS_ISA_EXT_XSAVEOPT:
		return TAGMEM_STATE_ALL;
	default:
		break;
	}
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
	case ZYDIS_MNEMONIC_CVTPI2PS:
	case ZYDIS_MNEMONIC_CVTPI2PD:
		return TAGMEM_STATE_ALL;
	default:
		break;
	}
	for (int i = 0; i < instruction->operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
			continue;
		}
		switch (ZydisRegisterGetClass(operand->reg.value)) {
		case ZYDIS_REGCLASS_X87:
		case ZYDIS_REGCLASS_MMX:
			return TAGMEM_STATE_ALL;
		case ZYDIS_REGCLASS_XMM:
		case ZYDIS_REGCLASS_YMM:
		case ZYDIS_REGCLASS_ZMM:
		case ZYDIS_REGCLASS_MASK:
			state = TAGMEM_STATE_VECTORS;
			break;
		default:
			break;
		}
	}
	return state;
}

/* A near branch of 16 bits, which not all processors have. */
static bool is_odd_branch(const ZydisDecodedInstruction *instruction) {
	bool is_wide = instruction->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE && !instruction->raw.rex.W;
	return instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
	    (instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR && is_wide);
}

void tagmem_classify(struct tagmem_plan *plan, const struct tagmem_decoded *decoded, const ZydisDecodedOperand *memory) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	plan->reads = (uint8_t)state_of(decoded);
	plan->is_signed = instruction->mnemonic == ZYDIS_MNEMONIC_IDIV;
	plan->is_touched = is_touched(instruction);
	if (instruction->mnemonic == ZYDIS_MNEMONIC_CLZERO) {
		plan->kind = TAGMEM_KIND_IMPLIED;
	} else if (is_odd_branch(instruction) || instruction->meta.category == ZYDIS_CATEGORY_IOSTRINGOP) {
		plan->kind = TAGMEM_KIND_UNKNOWN;
	} else if (stack_kind(instruction) != TAGMEM_KIND_UNKNOWN) {
		plan->kind = (uint8_t)stack_kind(instruction);
	} else if (memory == NULL) {
		plan->kind = (uint8_t)tagmem_register_kind(decoded);
	} else if (instruction->meta.category == ZYDIS_CATEGORY_STRINGOP) {
		plan->kind = TAGMEM_KIND_STRING;
	} else {
		plan->kind = (uint8_t)(is_beyond(decoded) ? TAGMEM_KIND_UNKNOWN : rewritten_kind(decoded, memory));
	}
}
