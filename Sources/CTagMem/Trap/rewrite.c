/* An instruction's bytes with another operand in memory: [scratch], one of the first eight registers, but rsp and rbp. */
#include "rewrite.h"

enum { ret = 0xc3, rex = 0x40, rex_b = 1, rex_x = 2, rex_r = 4, from_reg = 0x38 };

static bool is_legacy_prefix(uint8_t byte) {
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67: case 0xf0: case 0xf2:
	case 0xf3:
		return true;
	}
	return false;
}

/* Says where, and says how big: nothing of it is left. */
static bool is_address_prefix(uint8_t byte) {
	return byte != 0x66 && byte < 0xf0;
}

/* The stand-in for rsp in the inverted field vvvv. */
static uint8_t vvvv_of(uint8_t byte, const struct tagmem_decoded *decoded, const struct tagmem_plan *plan) {
	for (int i = 0; i < decoded->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		if (operand->encoding == ZYDIS_OPERAND_ENCODING_NDSNDD && operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    tagmem_gpr_of(operand->reg.value) == tagmem_rsp) {
			return (uint8_t)((byte & ~0x78) | (~plan->stand_in & 0xf) << 3);
		}
	}
	return byte;
}

static bool is_reg_rsp(const struct tagmem_decoded *decoded) {
	for (int i = 0; i < decoded->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG && operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    tagmem_gpr_of(operand->reg.value) == tagmem_rsp) {
			return true;
		}
	}
	return false;
}

void tagmem_rewrite(const struct tagmem_decoded *decoded, const struct tagmem_plan *plan, uint8_t code[16]) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	const uint8_t *in = decoded->bytes, *end = in + instruction->length;
	uint8_t *out = code;
	uint8_t rex_byte = 0;
	bool has_modrm = instruction->attributes & ZYDIS_ATTRIB_HAS_MODRM;
	bool is_explicit = plan->kind != TAGMEM_KIND_IMPLIED && plan->kind != TAGMEM_KIND_STRING;
	bool is_offset = is_explicit && !has_modrm; /* mov al, [0x123456789abcdef0] */
	bool stands_in = is_explicit && plan->stand_in >= 0 && is_reg_rsp(decoded);

	/* A REX prefix that another prefix follows has no meaning. */
	for (; is_legacy_prefix(*in) || (*in & 0xf0) == rex; in++) {
		rex_byte = (*in & 0xf0) == rex ? *in : 0;
		if (!rex_byte && !is_address_prefix(*in)) {
			*out++ = *in;
		}
	}
	if (rex_byte) {
		uint8_t dropped = is_explicit ? rex_b | rex_x | (stands_in ? rex_r : 0) : 0;
		*out++ = rex_byte & (uint8_t)~dropped;
	}
	if (is_offset) {
		*out++ = 0x88 | (~*in & 2) | (*in & 1); /* a0, a1: loads 8a, 8b; a2, a3: stores 88, 89 */
		*out++ = (uint8_t)plan->scratch;
		*out++ = ret;
		return;
	}
	uint8_t *opcode = out;
	const uint8_t *modrm = has_modrm ? decoded->bytes + instruction->raw.modrm.offset : end;
	while (in < modrm) {
		*out++ = *in++;
	}
	if (has_modrm && is_explicit) {
		/* Inverted bits: 1 is what is not extended. */
		switch (instruction->encoding) {
		case ZYDIS_INSTRUCTION_ENCODING_VEX:
		case ZYDIS_INSTRUCTION_ENCODING_XOP:
			if (opcode[0] != 0xc5) {
				opcode[1] |= (uint8_t)((rex_b | rex_x | (stands_in ? rex_r : 0)) << 5);
				opcode[2] = vvvv_of(opcode[2], decoded, plan);
			} else {
				opcode[1] = vvvv_of(opcode[1] | (stands_in ? rex_r << 5 : 0), decoded, plan);
			}
			break;
		case ZYDIS_INSTRUCTION_ENCODING_EVEX:
			opcode[1] |= (rex_b | rex_x) << 5;
			break;
		default:
			break;
		}
		uint8_t reg = stands_in ? (uint8_t)(plan->stand_in << 3) : *in & from_reg;
		*out++ = reg | (uint8_t)plan->scratch;
		in++;
		in += (instruction->attributes & ZYDIS_ATTRIB_HAS_SIB) != 0;
		in += instruction->raw.disp.size / 8;
	}
	while (in < end) {
		*out++ = *in++;
	}
	*out++ = ret;
}
