/* Planning what accesses the elements of a mask: vmaskmov, maskmov, AVX-512's masks, gathers and scatters. */
#include "Decoded.h"

/* Instructions that do not suppress faults of elements that are masked off: they access their whole operand. */
static bool is_whole(const ZydisDecodedInstruction *instruction) {
	switch (instruction->meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_E1NF:
	case ZYDIS_EXCEPTION_CLASS_E2NF:
	case ZYDIS_EXCEPTION_CLASS_E3NF:
	case ZYDIS_EXCEPTION_CLASS_E4NF:
	case ZYDIS_EXCEPTION_CLASS_E5NF:
	case ZYDIS_EXCEPTION_CLASS_E6NF:
	case ZYDIS_EXCEPTION_CLASS_E9NF:
	case ZYDIS_EXCEPTION_CLASS_E10NF:
	case ZYDIS_EXCEPTION_CLASS_E11NF:
		return true;
	default:
		return false;
	}
}

/* The elements of the vector that a load goes to, 0 if it goes to none. */
static unsigned elements_loaded(const struct tagmem_decoded *decoded) {
	const ZydisDecodedOperand *first = &decoded->operands[0];
	if (first->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return 0;
	}
	switch (ZydisRegisterGetClass(first->reg.value)) {
	case ZYDIS_REGCLASS_XMM:
	case ZYDIS_REGCLASS_YMM:
	case ZYDIS_REGCLASS_ZMM:
		return first->element_count;
	default:
		return 0;
	}
}

static void plan_opmask(struct tagmem_plan *plan, const struct tagmem_decoded *decoded,
    const ZydisDecodedOperand *memory) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	unsigned loaded = plan->is_store ? 0 : elements_loaded(decoded), stored = memory->element_count;
	plan->kind = TAGMEM_KIND_MASKED;
	plan->is_opmask = true;
	plan->mask = (int8_t)ZydisRegisterGetId(instruction->avx.mask.reg);
	plan->element = (uint8_t)(memory->element_size / 8);
	plan->mask_bits = (uint8_t)stored;
	plan->is_packed = instruction->meta.category == ZYDIS_CATEGORY_COMPRESS ||
	    instruction->meta.category == ZYDIS_CATEGORY_EXPAND;
	if (instruction->avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID) {
		plan->mask_bits = (uint8_t)(loaded ? loaded : instruction->avx.vector_length / memory->element_size);
	} else if (stored > 1 && loaded != 0) {
		plan->mask_bits = (uint8_t)loaded;
		if (loaded < stored) { /* several elements in memory for one of the mask */
			plan->element = (uint8_t)(plan->size / loaded);
		}
	}
}

static void plan_gather(struct tagmem_plan *plan, const struct tagmem_decoded *decoded,
    const ZydisDecodedOperand *memory) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	const ZydisDecodedOperand *vector = &decoded->operands[plan->is_store ? 2 : 0];
	unsigned index_vector = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, memory->mem.index) / 8;
	plan->size = plan->element = (uint8_t)(memory->element_size / 8);
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_VPGATHERDD:
	case ZYDIS_MNEMONIC_VPGATHERDQ:
	case ZYDIS_MNEMONIC_VGATHERDPS:
	case ZYDIS_MNEMONIC_VGATHERDPD:
	case ZYDIS_MNEMONIC_VPSCATTERDD:
	case ZYDIS_MNEMONIC_VPSCATTERDQ:
	case ZYDIS_MNEMONIC_VSCATTERDPS:
	case ZYDIS_MNEMONIC_VSCATTERDPD:
		plan->index_size = 4;
		break;
	case ZYDIS_MNEMONIC_VPGATHERQD:
	case ZYDIS_MNEMONIC_VPGATHERQQ:
	case ZYDIS_MNEMONIC_VGATHERQPS:
	case ZYDIS_MNEMONIC_VGATHERQPD:
	case ZYDIS_MNEMONIC_VPSCATTERQD:
	case ZYDIS_MNEMONIC_VPSCATTERQQ:
	case ZYDIS_MNEMONIC_VSCATTERQPS:
	case ZYDIS_MNEMONIC_VSCATTERQPD:
		plan->index_size = 8;
		break;
	default: /* prefetches */
		plan->kind = TAGMEM_KIND_UNKNOWN;
		return;
	}
	plan->is_opmask = instruction->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
	plan->operand = (int8_t)ZydisRegisterGetId(vector->reg.value);
	plan->vector = (uint8_t)(vector->size / 8);
	plan->mask = (int8_t)ZydisRegisterGetId(
	    plan->is_opmask ? instruction->avx.mask.reg : decoded->operands[2].reg.value);
	unsigned elements = plan->vector / plan->size, indices = index_vector / plan->index_size;
	plan->mask_bits = (uint8_t)(elements < indices ? elements : indices);
}

void tagmem_plan_elements(struct tagmem_plan *plan, const struct tagmem_decoded *decoded,
    const ZydisDecodedOperand *memory) {
	const ZydisDecodedInstruction *instruction = &decoded->instruction;
	const ZydisDecodedOperand *operands = decoded->operands;
	if (plan->kind == TAGMEM_KIND_GATHER) {
		plan_gather(plan, decoded, memory);
		return;
	}
	if (plan->kind == TAGMEM_KIND_IMPLIED) { /* maskmovq, maskmovdqu */
		plan->mask = (int8_t)ZydisRegisterGetId(operands[1].reg.value);
		plan->mask_bits = (uint8_t)plan->size;
		plan->element = 1;
		return;
	}
	if (plan->kind != TAGMEM_KIND_ACCESS) {
		return;
	}
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		plan->kind = TAGMEM_KIND_MASKED;
		plan->mask = (int8_t)ZydisRegisterGetId(operands[1].reg.value); /* in the middle, of loads and stores */
		plan->element = (uint8_t)(memory->element_size / 8);
		plan->mask_bits = (uint8_t)memory->element_count;
		break;
	default:
		if (instruction->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX &&
		    instruction->avx.mask.reg != ZYDIS_REGISTER_NONE && instruction->avx.mask.reg != ZYDIS_REGISTER_K0 &&
		    !is_whole(instruction)) {
			plan_opmask(plan, decoded, memory);
		}
		break;
	}
}
