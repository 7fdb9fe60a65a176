/* From a context to what came of its instruction. */
#include "Trap.h"

#include <Zydis/Zydis.h>
#include <string.h>

enum { longest = 15, instruction_fetch = 1 << 4, page_fault = 14 };

/* Reads on: of an instruction's bytes only those that are in this page may be read for sure. */
static size_t fetch(uintptr_t pc, uint8_t bytes[16], size_t from) {
	struct tagmem_signal signal;
	size_t here = tagmem_page - (pc + from) % tagmem_page, count = here < 16 - from ? here : 16 - from;
	return tagmem_copy(bytes + from, (const void *)(pc + from), count, &signal) == 0 ? from + count : from;
}

const struct tagmem_plan *tagmem_plan_of(uintptr_t pc, uint8_t bytes[16], size_t *count) {
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

/* Not inline: its stack is not needed by traps that go well. */
__attribute__((noinline)) static void describe(char *text, size_t size, uintptr_t pc, const uint8_t *bytes, size_t count) {
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

static bool do_kind(struct tagmem_attempt *attempt, uintptr_t *pc) {
	switch (attempt->plan->kind) {
	case TAGMEM_KIND_UNKNOWN:
	case TAGMEM_KIND_NO_ACCESS:
		return false;
	case TAGMEM_KIND_REGISTERS:
		return tagmem_do_registers(attempt);
	case TAGMEM_KIND_ADDRESS:
		return tagmem_do_lea(attempt);
	case TAGMEM_KIND_BRANCH:
		return tagmem_do_branch(attempt, pc);
	case TAGMEM_KIND_ACCESS:
	case TAGMEM_KIND_BIT:
	case TAGMEM_KIND_DIVIDE:
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

bool tagmem_attempt(struct tagmem_attempt *attempt, uintptr_t *pc) {
	const struct tagmem_plan *plan = attempt->plan;
	struct tagmem_run *run = &attempt->run;
	*pc = plan->pc + plan->length;
	tagmem_thread.access_at = plan->pc;
	run->state = NULL;
	if (plan->reads != TAGMEM_STATE_NONE) {
		run->state = tagmem_extended_state(attempt->context, &run->features);
		if (run->state == NULL) {
			attempt->result->trap = TAGMEM_TRAP_UNKNOWN;
			return false;
		}
		if (plan->reads == TAGMEM_STATE_VECTORS) {
			run->features &= ~(uint64_t)1;
		}
	}
	return do_kind(attempt, pc);
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

/* Instructions that may come here because they were refused; others are refused for a reason of their own. */
static bool is_access(const struct tagmem_plan *plan) {
	return plan->kind != TAGMEM_KIND_NO_ACCESS && plan->kind != TAGMEM_KIND_REGISTERS &&
	    plan->kind != TAGMEM_KIND_ADDRESS && plan->kind != TAGMEM_KIND_BRANCH;
}

struct tagmem_trap_result tagmem_trap(ucontext_t *context) {
	struct tagmem_trap_result result = {.trap = TAGMEM_TRAP_NOT_OURS};
	greg_t *registers = context->uc_mcontext.gregs;
	uintptr_t pc = (uintptr_t)registers[REG_RIP], next = pc;
	uint8_t bytes[16];
	size_t count = 0;
	bool is_page_fault = registers[REG_TRAPNO] == page_fault;
	if (is_page_fault && tagmem_pointer_of((uintptr_t)registers[REG_CR2]).span == NULL) {
		return result;
	}
	struct tagmem_attempt attempt = {.context = context, .result = &result};
	bool is_fetch = is_page_fault && registers[REG_ERR] & instruction_fetch;
	const struct tagmem_plan *plan = attempt.plan = is_fetch ? NULL : tagmem_plan_of(pc, bytes, &count);
	if (plan == NULL || plan->kind == TAGMEM_KIND_UNKNOWN) {
		result.trap = is_about_span(plan, context) ? TAGMEM_TRAP_UNKNOWN : TAGMEM_TRAP_NOT_OURS;
	} else if (is_access(plan)) {
		tagmem_registers_load(&attempt);
		if (tagmem_attempt(&attempt, &next)) {
			result.trap = TAGMEM_TRAP_DONE;
			if (attempt.stays) {
				next = pc;
			} else {
				attempt.run.flags &= ~(uint64_t)tagmem_rf;
				/* An asynchronous fault is noted first: what follows may ask for it. */
				if (!result.has_deferred_fault) {
					tagmem_go_ahead(&attempt, &next);
				}
			}
			tagmem_registers_store(&attempt);
			registers[REG_RIP] = (greg_t)next;
		}
	}
	if (result.trap == TAGMEM_TRAP_UNKNOWN) {
		describe(result.text, sizeof result.text, pc, bytes, count);
	}
	result.has_deferred_fault &= result.trap == TAGMEM_TRAP_DONE;
	if (plan != NULL) {
		tagmem_plan_drop(plan);
	}
	return result;
}
