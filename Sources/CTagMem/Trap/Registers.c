/* General registers in the order of the processor's numbers, and addresses of them. */
#include "Trap.h"

#include "Space/Kernel.h"

#include <asm/prctl.h>

static const uint8_t order[tagmem_gprs] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8,
    REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

void tagmem_registers_load(struct tagmem_attempt *attempt) {
	const greg_t *registers = attempt->context->uc_mcontext.gregs;
	for (int i = 0; i < tagmem_gprs; i++) {
		attempt->run.gpr[i] = (uint64_t)registers[order[i]];
	}
	attempt->run.flags = (uint64_t)registers[REG_EFL];
}

void tagmem_registers_store(const struct tagmem_attempt *attempt) {
	greg_t *registers = attempt->context->uc_mcontext.gregs;
	for (int i = 0; i < tagmem_gprs; i++) {
		registers[order[i]] = (greg_t)attempt->run.gpr[i];
	}
	registers[REG_EFL] = (greg_t)attempt->run.flags;
}

/* The handler's bases are the program's. */
uint64_t tagmem_segment_base(uint8_t segment) {
	uint64_t base = (uint64_t)__builtin_thread_pointer();
	if (segment == 'g') {
		tagmem_call(SYS_arch_prctl, ARCH_GET_GS, &base);
	}
	return base;
}

uintptr_t tagmem_address(const struct tagmem_form *form, const uint64_t *gpr) {
	uint64_t address = (uint64_t)form->displacement;
	if (form->base >= 0) {
		address += gpr[form->base];
	}
	if (form->index >= 0) {
		address += gpr[form->index] * form->scale;
	}
	if (form->is_short) {
		address = (uint32_t)address;
	}
	return form->segment ? address + tagmem_segment_base(form->segment) : address;
}
