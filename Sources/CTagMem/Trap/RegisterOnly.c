/* Instructions without memory that may be done ahead: those that depend on registers alone, not on where they are, not on
 * segments, and that only a program's own state notices. */
#include "Decoded.h"

static bool is_category_fit(const ZydisDecodedInstruction *instruction) {
	switch (instruction->meta.category) {
	case ZYDIS_CATEGORY_ADOX_ADCX:
	case ZYDIS_CATEGORY_AES:
	case ZYDIS_CATEGORY_AVX:
	case ZYDIS_CATEGORY_AVX2:
	case ZYDIS_CATEGORY_AVX512:
	case ZYDIS_CATEGORY_BINARY:
	case ZYDIS_CATEGORY_BITBYTE:
	case ZYDIS_CATEGORY_BLEND:
	case ZYDIS_CATEGORY_BMI1:
	case ZYDIS_CATEGORY_BMI2:
	case ZYDIS_CATEGORY_BROADCAST:
	case ZYDIS_CATEGORY_CMOV:
	case ZYDIS_CATEGORY_COMPRESS:
	case ZYDIS_CATEGORY_CONVERT:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_EXPAND:
	case ZYDIS_CATEGORY_FCMOV:
	case ZYDIS_CATEGORY_FLAGOP:
	case ZYDIS_CATEGORY_GFNI:
	case ZYDIS_CATEGORY_KMASK:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_LOGICAL_FP:
	case ZYDIS_CATEGORY_LZCNT:
	case ZYDIS_CATEGORY_MMX:
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_PCLMULQDQ:
	case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_SEMAPHORE:
	case ZYDIS_CATEGORY_SETCC:
	case ZYDIS_CATEGORY_SHA:
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_SSE:
	case ZYDIS_CATEGORY_STTNI:
	case ZYDIS_CATEGORY_VAES:
	case ZYDIS_CATEGORY_VFMA:
	case ZYDIS_CATEGORY_VPCLMULQDQ:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_X87_ALU:
		return instruction->meta.isa_ext != ZYDIS_ISA_EXT_SMAP;
	default:
		return instruction->mnemonic == ZYDIS_MNEMONIC_ENDBR64 || instruction->mnemonic == ZYDIS_MNEMONIC_LFENCE ||
		    instruction->mnemonic == ZYDIS_MNEMONIC_MFENCE || instruction->mnemonic == ZYDIS_MNEMONIC_SFENCE;
	}
}

static bool is_register_fit(const ZydisDecodedOperand *operand) {
	switch (ZydisRegisterGetClass(operand->reg.value)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		/* Another register can stand for rsp where the ModRM byte says which. */
		return tagmem_gpr_of(operand->reg.value) != tagmem_rsp ||
		    operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ||
		    operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM;
	case ZYDIS_REGCLASS_X87:
	case ZYDIS_REGCLASS_MMX:
	case ZYDIS_REGCLASS_XMM:
	case ZYDIS_REGCLASS_YMM:
	case ZYDIS_REGCLASS_ZMM:
	case ZYDIS_REGCLASS_MASK:
	case ZYDIS_REGCLASS_FLAGS:
		return true;
	default:
		return operand->reg.value == ZYDIS_REGISTER_X87STATUS || operand->reg.value == ZYDIS_REGISTER_X87CONTROL ||
		    operand->reg.value == ZYDIS_REGISTER_X87TAG || operand->reg.value == ZYDIS_REGISTER_MXCSR;
	}
}

static bool is_jcc(const ZydisDecodedInstruction *instruction) {
	return (instruction->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (instruction->opcode & 0xf0) == 0x70) ||
	    (instruction->opcode_map == ZYDIS_OPCODE_MAP_0F && (instruction->opcode & 0xf0) == 0x80);
}

enum tagmem_kind tagmem_register_kind(const struct tagmem_decoded *decoded) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	if (instruction->mnemonic == ZYDIS_MNEMONIC_LEA) {
		return TAGMEM_KIND_ADDRESS;
	}
	if (instruction->meta.category == ZYDIS_CATEGORY_COND_BR) {
		return is_jcc(instruction) ? TAGMEM_KIND_BRANCH : TAGMEM_KIND_NO_ACCESS;
	}
	for (int i = 0; i < instruction->operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY ||
		    (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && !is_register_fit(operand))) {
			return TAGMEM_KIND_NO_ACCESS;
		}
	}
	return is_category_fit(instruction) ? TAGMEM_KIND_REGISTERS : TAGMEM_KIND_NO_ACCESS;
}
