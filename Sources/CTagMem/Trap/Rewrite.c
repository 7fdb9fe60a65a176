/* An instruction's bytes with another operand in memory: [scratch], one of the first eight registers, but rsp and rbp; and
 * with another register of these for rsp. */
#include "Decoded.h"

enum { ret = 0xc3, rex = 0x40, rex_b = 1, rex_x = 2, rex_r = 4, field_reg = 0x38, field_rm = 7 };

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

/* Whether a field of the ModRM byte is rsp. */
static bool is_rsp(const struct tagmem_decoded *decoded, ZydisOperandEncoding field) {
	for (int i = 0; i < decoded->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		if (operand->encoding == field && operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    tagmem_gpr_of(operand->reg.value) == tagmem_rsp) {
			return true;
		}
	}
	return false;
}

/* Bits to be dropped of REX, or to be set in the inverted field of VEX, as what they extend is of the first eight now. */
static uint8_t dropped_bits(const struct tagmem_decoded *decoded, const struct tagmem_plan *plan) {
	uint8_t reg = is_rsp(decoded, ZYDIS_OPERAND_ENCODING_MODRM_REG) ? rex_r : 0;
	switch (plan->kind) {
	case TAGMEM_KIND_IMPLIED:
	case TAGMEM_KIND_STRING:
		return 0;
	case TAGMEM_KIND_REGISTERS:
		return reg | (is_rsp(decoded, ZYDIS_OPERAND_ENCODING_MODRM_RM) ? rex_b : 0);
	default:
		return reg | rex_b | rex_x;
	}
}

static uint8_t modrm_of(uint8_t byte, const struct tagmem_decoded *decoded, const struct tagmem_plan *plan) {
	if (is_rsp(decoded, ZYDIS_OPERAND_ENCODING_MODRM_REG)) {
		byte = (uint8_t)((byte & ~field_reg) | plan->stand_in << 3);
	}
	if (plan->kind != TAGMEM_KIND_REGISTERS) {
		return (byte & field_reg) | (uint8_t)plan->scratch;
	}
	return is_rsp(decoded, ZYDIS_OPERAND_ENCODING_MODRM_RM) ? (uint8_t)((byte & ~field_rm) | plan->stand_in) : byte;
}

static void rewrite_vex(uint8_t *opcode, const struct tagmem_decoded *decoded, const struct tagmem_plan *plan) {
	uint8_t bits = (uint8_t)(dropped_bits(decoded, plan) << 5);
	switch (decoded->instruction.encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
	case ZYDIS_INSTRUCTION_ENCODING_XOP:
		if (opcode[0] == 0xc5) { /* the short form: it has the bit of ModRM's reg alone */
			opcode[1] = vvvv_of(opcode[1] | (bits & rex_r << 5), decoded, plan);
		} else {
			opcode[1] |= bits;
			opcode[2] = vvvv_of(opcode[2], decoded, plan);
		}
		break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		opcode[1] |= bits;
		break;
	default:
		break;
	}
}

void tagmem_rewrite(const struct tagmem_decoded *decoded, const struct tagmem_plan *plan, uint8_t code[16]) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	const uint8_t *in = decoded->bytes, *end = in + instruction->length;
	uint8_t *out = code, rex_byte = 0;
	bool has_modrm = instruction->attributes & ZYDIS_ATTRIB_HAS_MODRM;
	bool is_operand = plan->kind != TAGMEM_KIND_IMPLIED && plan->kind != TAGMEM_KIND_STRING;

	/* A REX prefix that another prefix follows has no meaning. */
	for (; is_legacy_prefix(*in) || (*in & 0xf0) == rex; in++) {
		rex_byte = (*in & 0xf0) == rex ? *in : 0;
		if (!rex_byte && (!is_address_prefix(*in) || plan->kind == TAGMEM_KIND_REGISTERS)) {
			*out++ = *in;
		}
	}
	if (rex_byte) {
		*out++ = rex_byte & (uint8_t)~dropped_bits(decoded, plan);
	}
	if (is_operand && !has_modrm && plan->kind != TAGMEM_KIND_REGISTERS) { /* mov al, [0x123456789abcdef0] */
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
	if (has_modrm && is_operand) {
		rewrite_vex(opcode, decoded, plan);
		*out++ = modrm_of(*in++, decoded, plan);
		if (plan->kind != TAGMEM_KIND_REGISTERS) {
			in += (instruction->attributes & ZYDIS_ATTRIB_HAS_SIB) != 0;
			in += instruction->raw.disp.size / 8;
		}
	}
	while (in < end) {
		*out++ = *in++;
	}
	*out++ = ret;
}
