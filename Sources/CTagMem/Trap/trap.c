/* From a context to what came of its instruction. */
#include "trap.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

enum { longest = 15, instruction_fetch = 1 << 4, page_fault = 14 };

/* Reads on: of an instruction's bytes only those that are in this page may be read for sure. */
static size_t fetch(uintptr_t pc, uint8_t bytes[16], size_t from) {
	struct tagmem_signal signal;
	size_t here = tagmem_page - (pc + from) % tagmem_page, count = here < 16 - from ? here : 16 - from;
	return tagmem_copy(bytes + from, (const void *)(pc + from), count, &signal) == 0 ? from + count : from;
}

static const struct tagmem_plan *plan_of(uintptr_t pc, uint8_t bytes[16], size_t *count) {
	struct tagmem_plan made;
	uint8_t code[16];
	bool is_short = true;
	*count = 0;
	while (is_short) {
		size_t before = *count;
		*count = fetch(pc, bytes, before);
		if (*count == before) {
			return NULL;
		}
		const struct tagmem_plan *plan = tagmem_plan_find(pc, bytes, *count);
		if (plan != NULL) {
			return plan;
		}
		if (tagmem_plan_make(&made, pc, bytes, *count < longest ? *count : longest, code, &is_short)) {
			return tagmem_plan_keep(&made, code);
		}
		is_short = is_short && *count < longest;
	}
	return NULL;
}

static void describe(char *text, size_t size, uintptr_t pc, const uint8_t *bytes, size_t count) {
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoder decoder;
	ZydisFormatter formatter;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, count, &instruction, operands)) &&
	    ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
	        instruction.operand_count_visible, text, size, pc, NULL))) {
		return;
	}
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;
	for (size_t i = 0; i < count && i < longest; i++) {
		text[at++] = digits[bytes[i] >> 4];
		text[at++] = digits[bytes[i] & 0xf];
		text[at++] = ' ';
	}
	text[at > 0 ? at - 1 : 0] = '\0';
}

static bool attempt_it(struct tagmem_attempt *attempt, uintptr_t *pc) {
	switch (attempt->plan->kind) {
	case TAGMEM_KIND_ACCESS:
	case TAGMEM_KIND_BIT:
	case TAGMEM_KIND_STATE:
	case TAGMEM_KIND_MASKED:
	case TAGMEM_KIND_IMPLIED:
		return tagmem_do_access(attempt);
	case TAGMEM_KIND_STRING:
		return tagmem_do_string(attempt);
	case TAGMEM_KIND_GATHER:
		return tagmem_do_gather(attempt);
	default:
		return tagmem_do_stack(attempt, pc);
	}
}

/* Of an instruction that cannot be done: whether it is about a span at all. */
static bool is_about_span(const struct tagmem_plan *plan, const ucontext_t *context) {
	const greg_t *registers = context->uc_mcontext.gregs;
	if (registers[REG_TRAPNO] == page_fault) {
		return tagmem_pointer_of((uintptr_t)registers[REG_CR2]).span != NULL;
	}
	if (plan == NULL) {
		return false;
	}
	struct tagmem_attempt attempt = {.plan = plan, .context = (ucontext_t *)context};
	tagmem_registers_load(&attempt);
	return plan->form.base >= 0 && tagmem_pointer_of(tagmem_address(&plan->form, attempt.run.gpr)).span != NULL;
}

struct tagmem_trap_result tagmem_trap(ucontext_t *context) {
	struct tagmem_trap_result result = {.trap = TAGMEM_TRAP_NOT_OURS};
	greg_t *registers = context->uc_mcontext.gregs;
	uintptr_t pc = (uintptr_t)registers[REG_RIP];
	uint8_t bytes[16];
	size_t count;
	bool is_page_fault = registers[REG_TRAPNO] == page_fault;
	if (is_page_fault && tagmem_pointer_of((uintptr_t)registers[REG_CR2]).span == NULL) {
		return result;
	}
	struct tagmem_attempt attempt = {.context = context, .result = &result};
	bool is_fetch = is_page_fault && registers[REG_ERR] & instruction_fetch;
	attempt.plan = is_fetch ? NULL : plan_of(pc, bytes, &count);
	if (is_fetch) {
		count = 0;
	}
	bool is_known = attempt.plan != NULL && attempt.plan->kind != TAGMEM_KIND_UNKNOWN;
	if (is_known && attempt.plan->reads != TAGMEM_STATE_NONE) {
		attempt.run.state = tagmem_extended_state(context, &attempt.run.features);
		is_known = attempt.run.state != NULL;
		if (attempt.plan->reads == TAGMEM_STATE_VECTORS) {
			attempt.run.features &= ~(uint64_t)1;
		}
	}
	if (!is_known) {
		if (is_about_span(attempt.plan, context)) {
			result.trap = TAGMEM_TRAP_UNKNOWN;
			describe(result.text, sizeof result.text, pc, bytes, count);
		}
	} else if (attempt.plan->kind != TAGMEM_KIND_NO_ACCESS) {
		tagmem_registers_load(&attempt);
		uintptr_t next = pc + attempt.plan->length;
		if (attempt_it(&attempt, &next)) {
			result.trap = TAGMEM_TRAP_DONE;
			tagmem_registers_store(&attempt);
			if (!attempt.stays) {
				registers[REG_RIP] = (greg_t)next;
				registers[REG_EFL] &= ~(greg_t)tagmem_rf;
			}
		}
	}
	result.has_deferred_fault &= result.trap == TAGMEM_TRAP_DONE;
	if (attempt.plan != NULL) {
		tagmem_plan_drop(attempt.plan);
	}
	return result;
}
